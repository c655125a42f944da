"""Connectivity of neighbors, and the edges that LCEPCE makes of it.

    c_ij = a_ij (s_ij + s_ji) / 2         a: cosine cut at 0, s: learned score, 0 where a row does not list the other
    density_i = sum over neighbors j of c_ij
    E_d: every row to the denser neighbor of the highest c
    E_s: every row to its other denser neighbors whose c reaches the mean cosine of all rows to their 3 nearest

Clusters are the connected components of both. In the published method a second network, PCENet, accepts or refuses every
edge of E_d from both neighborhoods; here c must exceed a floor.

Shapes: N rows in all; R rows of a shard; K neighbors per row, the row itself at rank 0; E edges.
"""

import numba
import numpy as np

from raycluster.arrays import Bool, Float32, Int32
from raycluster.kernels.edge_rules.columns import Columns, edge_columns, rank_of
from raycluster.kernels.edge_rules.density_peaks import closest

NEAREST = 3
"""Nearest neighbors whose mean cosine is the least connectivity of E_s, as published. Raising it adds edges to E_s."""


@numba.njit(nogil=True, cache=True)
def connectivity(start: int, stop: int, neighbor: Int32, similarity: Float32, score: Float32) -> Float32:
    """Return the connectivity of rows start..stop with each of their neighbors.

    Parameters
    ----------
    start, stop : int
        The rows of the shard.
    neighbor, similarity : int32 and float32 (N, K)
        The neighbors of all rows and their cosine; neighbor is -1 past the last one.
    score : float32 (N, K)
        Learned scores in 0..1; NaN counts as 0.

    Returns
    -------
    float32 (R, K)
        In 0..1; 0 at rank 0 and at ranks without a neighbor.
    """
    k = neighbor.shape[1]
    out = np.zeros((stop - start, k), np.float32)
    for i in range(start, stop):
        for rank in range(1, k):
            j = neighbor[i, rank]
            if j < 0:
                continue
            back = rank_of(i, neighbor[j], k)
            forth, other = score[i, rank], score[j, back] if back >= 0 else np.float32(0)
            # a pair that one row alone lists has half of its score, as published
            total = (np.float32(0) if np.isnan(forth) else forth) + (np.float32(0) if np.isnan(other) else other)
            out[i - start, rank] = max(similarity[i, rank], np.float32(0)) * total / np.float32(2)
    return out


def least_connectivity(similarity: Float32) -> float:
    """Return the connectivity from which edges join E_s.

    It is the mean of similarity (N, K) over all rows and their nearest neighbors.
    """
    return float(np.mean(similarity[:, 1 : 1 + NEAREST], dtype=np.float64))


def connected_edges(
    start: int, neighbor: Int32, similarity: Float32, uphill: Bool, connected: Float32, floor: float, least: float
) -> Columns:
    """Return the edges E_d and E_s of a shard's rows.

    Parameters
    ----------
    start : int
        Number of the shard's first row.
    neighbor, similarity : int32 and float32 (R, K)
        The neighbors of the shard's rows and their cosine.
    uphill : bool (R, K)
        Which neighbors are `denser`.
    connected : float32 (R, K)
        Their connectivity.
    floor : float
        Connectivity that every edge must exceed. Raising it splits more.
    least : float
        Least connectivity of E_s, `least_connectivity`.

    Returns
    -------
    Columns (E,)
        From each row (`source`) to denser neighbors (`target`); `weight` is connectivity; `nep` and `score` are NaN.
    """
    best = closest(neighbor, connected, uphill)
    is_edge = uphill & (connected >= np.float32(least))
    row = np.flatnonzero(best >= 0)
    is_edge[row, best[row]] = True
    row, rank = np.nonzero(is_edge & (connected > np.float32(floor)))
    return edge_columns(
        (row + start).astype(np.int32), neighbor[row, rank], connected[row, rank], similarity[row, rank]
    )
