"""How many threads the parallel kernels use.

numba's own pool serves one Python thread at a time, so a lock lets kernels of other threads wait. It survives a fork.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numba

_lock = threading.RLock()


def _renew_lock() -> None:
    """Make a new lock in a forked child: a thread that it lacks may hold the old one."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


@contextmanager
def at_most(threads: int | None) -> Iterator[int]:
    """Cap numba's threads inside the block and give the number in use.

    `threads` above what the process has, or None, leaves the number as it is. The number from before comes back at the end,
    also after an exception.
    """
    with _lock:
        before = numba.get_num_threads()
        count = min(threads or before, before)
        numba.set_num_threads(count)
        try:
            yield count
        finally:
            numba.set_num_threads(before)
