"""How many threads the parallel kernels use."""

from collections.abc import Iterator
from contextlib import contextmanager

import numba


@contextmanager
def at_most(threads: int | None) -> Iterator[int]:
    """Cap numba's threads inside the block and give the number in use.

    `threads` above what the process has, or None, leaves the number as it is. The number from before comes back at the end,
    also after an exception.
    """
    before = numba.get_num_threads()
    count = min(threads or before, before)
    numba.set_num_threads(count)
    try:
        yield count
    finally:
        numba.set_num_threads(before)
