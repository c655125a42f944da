"""The nearest other cluster among a row's neighbors, below the limit as well.

A row whose edges all stay inside its cluster has a rival as well. So rows can be ranked by how close that rival comes.

Shapes: N rows of the set, R rows of a block, K neighbors per row with the row itself at rank 0.
"""

import numpy as np

from raycluster.arrays import Float32, Float64, Int32
from raycluster.kernels import numba

FEWEST = 3
"""Neighbors that the mean over another cluster has at least; missing ones count 0. With 1, a single wrong score makes a rival of
a stranger, and sorting by the margin found half as many wrong rows on faces."""


def best_others(start: int, cluster: Int32, neighbor: Int32, value: Float32) -> Float64:
    """Return the mean value (R,) of every row with its best other cluster.

    It is 0 where the list names no other cluster.

    Parameters
    ----------
    start
        Number of the block's first row.
    cluster : int32 (N,)
        Cluster of every row, from 0.
    neighbor : int32 (R, K)
        Neighbors, -1 where a list is short.
    value : float32 (R, K)
        Learned scores in 0..1, or similarities. NaN does not count, and neither does a value below 0.
    """
    best = np.zeros(len(neighbor))
    _best_others(start, cluster, neighbor, value, best)
    return best


@numba.njit(nogil=True, cache=True)
def _best_others(start, cluster, neighbor, value, best):  # type: ignore[no-untyped-def]
    """Fill `best` (R,).

    Values are added in the order of ranks, so that sums do not depend on shards.
    """
    k = neighbor.shape[1]
    names, counts, sums = np.empty(k, np.int64), np.empty(k, np.int64), np.empty(k)
    for local in range(len(neighbor)):
        # the row's clusters, in the order in which its list names them
        num, own = 0, cluster[start + local]
        for rank in range(1, k):
            j = neighbor[local, rank]
            if j < 0 or cluster[j] == own or not value[local, rank] > 0:
                continue
            place = 0
            while place < num and names[place] != cluster[j]:
                place += 1
            if place == num:
                names[place], counts[place], sums[place] = cluster[j], 0, 0.0
                num += 1
            counts[place] += 1
            sums[place] += value[local, rank]
        for place in range(num):
            best[local] = max(best[local], sums[place] / max(counts[place], FEWEST))
