"""Connected components of an edge list.

Shapes: N rows, E edges.
"""

import numpy as np

from raycluster.arrays import Int32, Int64
from raycluster.kernels import numba


def components(source: Int32, target: Int32, rows: int) -> Int64:
    """Return the component (N,) of each row, numbered by their lowest rows.

    Parameters
    ----------
    source, target : int32 (E,)
        The ends of the edges, which have no direction.
    rows : int
        Number of rows N.
    """
    component: Int64 = np.arange(rows, dtype=np.int64)
    _unite(source, target, component)
    return component


@numba.njit(nogil=True, cache=True)
def join(one, other, lowest):  # type: ignore[no-untyped-def]
    """Make the sets of two rows one.

    Parameters
    ----------
    one, other : int
        The rows, 0..N-1.
    lowest : integers (N,)
        A lower row of each row's set, or itself; changed in place.
    """
    # The way to the lowest row is halved on every walk.
    while lowest[one] != one:
        lowest[one] = lowest[lowest[one]]
        one = lowest[one]
    while lowest[other] != other:
        lowest[other] = lowest[lowest[other]]
        other = lowest[other]
    lowest[max(one, other)] = min(one, other)


@numba.njit(nogil=True, cache=True)
def _unite(source, target, lowest):  # type: ignore[no-untyped-def]
    """Write the number of each row's component; before, each row is its own."""
    for edge in range(source.shape[0]):
        join(source[edge], target[edge], lowest)
    # No row points to a higher one, so that those before have their numbers.
    count = 0
    for row in range(lowest.shape[0]):
        if lowest[row] == row:
            lowest[row] = count
            count += 1
        else:
            lowest[row] = lowest[lowest[row]]
