"""Rule `density-peaks`: every row joins the closest of its denser neighbors (S2).

Edges never close a circle: their trees are the clusters, and a row without an edge is the root of its tree.

Shapes: N rows in all; R rows of a shard; K neighbors per row, the row itself at rank 0; E edges.
"""

import numba
import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Int64
from raycluster.kernels.edge_rules.columns import Columns, edge_columns


@numba.njit(nogil=True, cache=True)
def denser(start: int, neighbor: Int32, density: Float32) -> Bool:
    """Return which neighbors of a shard's rows are denser than the row.

    Parameters
    ----------
    start : int
        Number of the shard's first row.
    neighbor : int32 (R, K)
        The neighbors of the shard's rows, -1 past the last one.
    density : float32 (N,)
        The density of all rows.

    Returns
    -------
    bool (R, K)
        Of equally dense rows the lower counts as denser. So no circle of rows exists in which each is denser than the last.
    """
    out = np.zeros(neighbor.shape, np.bool_)
    for row in range(neighbor.shape[0]):
        i = start + row
        for rank in range(neighbor.shape[1]):
            j = neighbor[row, rank]
            out[row, rank] = j >= 0 and (density[j] > density[i] or (density[j] == density[i] and j < i))
    return out


def density_peak_edges(
    start: int, neighbor: Int32, similarity: Float32, uphill: Bool, closeness: Float32, floor: float
) -> Columns:
    """Return the edges of a shard's rows, each to its closest denser neighbor.

    Parameters
    ----------
    start : int
        Number of the shard's first row.
    neighbor, similarity : int32 and float32 (R, K)
        The neighbors of the shard's rows and their similarity.
    uphill : bool (R, K)
        Which neighbors are `denser`.
    closeness : float32 (R, K)
        1 - distance, in 0..1; read where `uphill`.
    floor : float
        Closeness that an edge must exceed. Raising it splits more.

    Returns
    -------
    Columns (E,)
        From each row (`source`) to its denser neighbor (`target`); `weight` is closeness; `nep` and `score` are NaN.
    """
    best = closest(neighbor, closeness, uphill)
    row = np.flatnonzero(best >= 0)
    row = row[closeness[row, best[row]] > np.float32(floor)]
    rank = best[row]
    weight = closeness[row, rank]
    return edge_columns((row + start).astype(np.int32), neighbor[row, rank], weight, similarity[row, rank])


@numba.njit(nogil=True, cache=True)
def closest(neighbor: Int32, closeness: Float32, uphill: Bool) -> Int64:
    """Return the rank of each row's closest uphill neighbor, else -1.

    Parameters
    ----------
    neighbor : int32 (R, K)
        The neighbors of some rows, -1 past the last one.
    closeness : float32 (R, K)
        Read where `uphill`.
    uphill : bool (R, K)
        Which neighbors may be chosen.

    Returns
    -------
    int64 (R,)
        Of equally close neighbors the lower row's rank.
    """
    best = np.full(neighbor.shape[0], -1, np.int64)
    for row in range(neighbor.shape[0]):
        for rank in range(neighbor.shape[1]):
            if uphill[row, rank]:
                held, close = best[row], closeness[row, rank]
                # Of equally close neighbors the lower row wins, so that the order of ranks does not matter.
                if (
                    held < 0
                    or close > closeness[row, held]
                    or (close == closeness[row, held] and neighbor[row, rank] < neighbor[row, held])
                ):
                    best[row] = rank
    return best
