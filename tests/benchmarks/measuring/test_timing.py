"""Times, and the peak memory."""

import time

import numpy as np

from benchmarks.measuring.timing import interleaved, peak_bytes, timed


def test_a_sleep_takes_wall_time_and_little_of_the_processor() -> None:
    run = timed(lambda: time.sleep(0.2) or "done")
    assert run.result == "done"
    assert run.wall >= 0.2
    assert run.cpu < run.wall
    assert list(run.columns) == ["wall s", "CPU s"]


def test_works_take_turns_after_a_warm_up() -> None:
    calls: list[str] = []
    times = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2)
    assert calls == ["a", "b"] * 3
    assert {name: len(taken) for name, taken in times.items()} == {"a": 2, "b": 2}


def test_the_peak_stays_when_memory_is_freed() -> None:
    before = peak_bytes()
    held = np.ones(2**25)
    del held
    assert peak_bytes() >= max(before, 2**28)
