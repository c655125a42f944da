"""Rule `threshold`: pairs whose similarity reaches a threshold.

Shapes: N rows in all; R = stop - start rows of a shard; K neighbors per row, the row itself at rank 0; E edges.
"""

import numba
import numpy as np

from raycluster.arrays import Float32, Int32
from raycluster.kernels.edge_rules.columns import Columns, edge_columns


def threshold_edges(start: int, stop: int, neighbor: Int32, similarity: Float32, floor: float) -> Columns:
    """Return the undirected pairs of rows start..stop with similarity >= `floor`.

    Parameters
    ----------
    start, stop : int
        The rows of the shard.
    neighbor, similarity : int32 and float32 (N, K)
        The neighbors of all rows, nearest first, and -1 in both past the last one. A pair counts also where only one of its
        rows lists the other.
    floor : float
        Lowest similarity of an edge, -1..1. Raising it keeps fewer edges.

    Returns
    -------
    Columns (E,)
        `source` is the lower row of a pair, `weight` its similarity; `nep` and `score` are NaN.
    """
    source, target, own_similarity = _pairs(start, stop, neighbor, similarity, np.float32(floor))
    return edge_columns(source, target, own_similarity, own_similarity)


@numba.njit(nogil=True, cache=True)
def _num_above(similarities, floor):  # type: ignore[no-untyped-def]
    """Ranks before the first of a row's similarities (K,) below the floor."""
    count = 0
    while count < similarities.shape[0] and similarities[count] >= floor:
        count += 1
    return count


@numba.njit(nogil=True, cache=True)
def _is_listed(row, neighbors, similarities, floor):  # type: ignore[no-untyped-def]
    """Whether a row is among neighbors (K,) before the first below the floor."""
    for rank in range(neighbors.shape[0]):
        if not similarities[rank] >= floor:
            return False
        if neighbors[rank] == row:
            return True
    return False


@numba.njit(nogil=True, cache=True)
def _pairs(first, last, neighbor, similarity, floor):  # type: ignore[no-untyped-def]
    """Return source, target and similarity (E,) of the rows first..last."""
    # Phase 1: room for every rank that may become an edge.
    room = 0
    for i in range(first, last):
        room += _num_above(similarity[i], floor)
    source, target = np.empty(room, np.int32), np.empty(room, np.int32)
    own_similarity = np.empty(room, np.float32)
    # Phase 2: the edges, in the order of rows and ranks. Past a row's first similarity below the floor there is none.
    count = 0
    for i in range(first, last):
        for rank in range(_num_above(similarity[i], floor)):
            j = neighbor[i, rank]
            if j < 0 or j == i:
                continue
            # A pair that both rows list is written by the lower one.
            if j < i and _is_listed(i, neighbor[j], similarity[j], floor):
                continue
            source[count], target[count] = min(i, j), max(i, j)
            own_similarity[count] = similarity[i, rank]
            count += 1
    return source[:count], target[:count], own_similarity[:count]
