"""How many threads the kernels use."""

from collections.abc import Iterator
from contextlib import contextmanager

import numba


@contextmanager
def at_most(threads: int | None) -> Iterator[int]:
    """Cap numba's threads, where a number is given; yields how many there are."""
    before = numba.get_num_threads()
    count = min(threads or before, before)
    numba.set_num_threads(count)
    try:
        yield count
    finally:
        numba.set_num_threads(before)
