"""Seconds of alternating calls, and the peak memory of this process."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple


class Timed(NamedTuple):
    """The result of a call and its time."""

    result: Any
    wall: float
    """Seconds on the clock."""
    cpu: float
    """CPU seconds of all threads, which other work on the machine stretches less."""

    @property
    def columns(self) -> dict[str, float]:
        """Return both times as columns of a table."""
        return {"wall s": round(self.wall, 3), "CPU s": round(self.cpu, 3)}


def timed(work: Callable[[], Any]) -> Timed:
    """Call once and take the time."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Timed(result, time.perf_counter() - wall, time.process_time() - cpu)


def seconds(work: Callable[[], Any]) -> float:
    """Return the wall time of one call."""
    return timed(work).wall


def interleaved(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every work, called in turn after one warm-up.

    Turns are A B A B ... A machine that slows down then slows down for all.
    """
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(round(seconds(work), 4))
    return times


def peak_bytes() -> int:
    """Return the largest resident memory of this process since it started."""
    with open("/proc/self/status") as status:  # ru_maxrss would count the process that started this one
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def peak_gib() -> float:
    """Return the same in GiB."""
    return round(peak_bytes() / 2**30, 3)
