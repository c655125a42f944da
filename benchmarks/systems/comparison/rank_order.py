"""Approximate rank order (Otto, Wang and Jain 2017, section 3.2).

The paper is "Clustering Millions of Faces by Identity".
"""

import numba
import numpy as np

from raycluster.arrays import Int32, Int64
from raycluster.kernels.components import components


def rank_order(neighbor: Int32, threshold: float) -> Int64:
    """Return labels (N,) of rows joined by pairs of distance `threshold` or less.

    neighbor (N, K): exact lists, self first. With O_a(b) the rank of b in a's list (self at 0; K where b is not in it),
    d(a, b) counts those of a's neighbors at ranks 1..O_a(b) that are not in b's list, and

        D(a, b) = (d(a, b) + d(b, a)) / min(O_a(b), O_b(a))

    for pairs of which one lists the other. Raising `threshold` merges more.
    """
    source, target, distance = pair_distances(neighbor, np.sort(neighbor, axis=1))
    joined = distance <= threshold
    return components(source[joined], target[joined], len(neighbor))


@numba.njit(nogil=True, cache=True)
def pair_distances(neighbor, ordered):  # type: ignore[no-untyped-def]
    """Return source, target int32 and D float64 (E,) of every listed pair, once.

    `ordered` are the sorted lists.
    """
    rows, k = neighbor.shape
    source, target = np.empty(rows * k, np.int32), np.empty(rows * k, np.int32)
    distance = np.empty(rows * k)
    count = 0
    for a in range(rows):
        for rank in range(1, k):
            b = neighbor[a, rank]
            back = 1
            while back < k and neighbor[b, back] != a:
                back += 1
            if back < k and b < a:
                continue
            missing = _missing(neighbor[a], rank, ordered[b]) + _missing(neighbor[b], back, ordered[a])
            source[count], target[count], distance[count] = a, b, missing / min(rank, back)
            count += 1
    return source[:count], target[:count], distance[:count]


@numba.njit(nogil=True, cache=True)
def _missing(listed, last, ordered):  # type: ignore[no-untyped-def]
    """Return how many of a list's ranks 1..last another, sorted list lacks.

    `last` may lie past the end of the list.
    """
    count = 0
    for rank in range(1, min(last + 1, listed.shape[0])):
        at = np.searchsorted(ordered, listed[rank])
        count += at == ordered.shape[0] or ordered[at] != listed[rank]
    return count
