"""Signals that end a fit: held back within a piece of work, at once elsewhere."""

import os
import signal
import threading

import pytest

from raycluster.training.interrupts import Interrupts


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_waits_for_the_end_of_held_work_and_a_second_one_does_not() -> None:
    done = []

    def work(interrupts: Interrupts, signals: int) -> None:
        with interrupts.held():
            for _ in range(signals):
                interrupt()
            done.append(signals)

    before = signal.getsignal(signal.SIGTERM)
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            work(interrupts, 1)
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        with pytest.raises(KeyboardInterrupt):
            work(interrupts, 2)
    assert done == [1]
    assert signal.getsignal(signal.SIGTERM) is before


def test_outside_the_main_thread_nothing_changes() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with Interrupts() as interrupts, interrupts.held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
