"""The head of the cluster while the driver computes by itself.

A stage on workers has its watcher. Where the driver computes alone it makes no call to Ray, which would end it after a
minute, without a word. A thread ends it before, with the sentence of the watcher. A driver that needs no workers any more lets
go of the cluster (`connection.leave`), and no head can end it.
"""

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

from raycluster.errors import RayclusterError
from raycluster.executors import reach

HEAD_SECONDS = 40.0
"""A head that refuses connections for so long is gone. Ray itself ends the driver after 60 s, without a word."""
HEAD_CHECK_SECONDS = 5.0
"""Seconds between two connections to the head."""
AGAIN = "Run the same command again: what is done is kept."


def answers(address: str) -> bool:
    """Whether the head at HOST:PORT takes connections."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=HEAD_CHECK_SECONDS).close()
    except OSError:
        return False
    return True


def gone(address: str, silent: float, where: str) -> RayclusterError:
    """Return the sentence on a head that is gone.

    Parameters
    ----------
    address
        HOST:PORT of the head.
    silent
        Seconds without an answer.
    where
        What the driver was doing.
    """
    return RayclusterError(
        f"The head of the Ray cluster at {address} is gone: no answer for {silent:.0f} s {where}. {AGAIN}"
    )


def end(error: RayclusterError) -> None:
    """End this process as a command that failed.

    Its main thread may be in a kernel for hours.
    """
    print(f"error: {error}", file=sys.stderr, flush=True)
    os._exit(error.exit_code)


@contextlib.contextmanager
def watched_head(
    address: Callable[[], str], clean: Callable[[], object], finish: Callable[[RayclusterError], None] = end
) -> Iterator[None]:
    """Watch the head while the block runs, but where a stage's watcher does.

    Parameters
    ----------
    address
        Returns HOST:PORT of the head; empty while this process is on no cluster.
    clean
        Called before the process ends.
    finish
        Ends the process with a sentence.
    """
    is_over = threading.Event()

    def watch() -> None:
        answered = time.monotonic()
        while not is_over.wait(HEAD_CHECK_SECONDS):
            head = "" if reach.is_watched() or reach.is_lost() else address()
            if not head or answers(head):
                answered = time.monotonic()
            elif (silent := time.monotonic() - answered) >= HEAD_SECONDS:
                clean()
                finish(gone(head, silent, "while the driver computed by itself"))
                return

    threading.Thread(target=watch, name="head", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
