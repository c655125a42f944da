"""Rule `gap`: FaceMap's edges, to neighbors before the first outlying gap.

A gap is the difference of two successive similarities. A row's neighbors are cut before the first gap that exceeds the
mean of the gaps before it by several of their standard deviations. A row divides a weight of 1 among the neighbors that
are left, in proportion to similarity. A pair weighs what both rows give it.

Shapes: N rows in all; R = stop - start rows of a shard; K neighbors per row, the row itself at rank 0; E edges; K - 2 gaps per
row, of which T = K - 2 - window are tested.
"""

import math

import numba
import numpy as np

from raycluster.arrays import Float32, Int32, Int64
from raycluster.kernels.edge_rules.columns import Columns, edge_columns, rank_of

GAP_WINDOW = 20
"""Gaps that the next one is compared with; FaceMap's published value. Raising it cuts later: no cut comes before rank
GAP_WINDOW + 2."""
GAP_Z = 3.0
"""Standard deviations above the mean from which a gap cuts; FaceMap's published value. Raising it keeps more neighbors."""


def gap_edges(
    start: int, stop: int, neighbor: Int32, similarity: Float32, window: int = GAP_WINDOW, z: float = GAP_Z
) -> Columns:
    """Return FaceMap's undirected pairs of rows start..stop.

    The cut of a neighbor's own neighbors is computed for each pair that lists both ways, so that no pass over all rows is
    needed.

    Parameters
    ----------
    start, stop : int
        The rows of the shard.
    neighbor, similarity : int32 and float32 (N, K)
        The neighbors of all rows, nearest first, and -1 in both past the last one.
    window : int
        Gaps before the tested one that it is compared with, 2 or more. Raising it cuts later: the first `window` gaps are
        never tested.
    z : float
        Standard deviations above the mean from which a gap cuts. Raising it keeps more neighbors.

    Returns
    -------
    Columns (E,)
        `source` is the lower row of a pair; `weight`, above 0 and at most 2, is the sum of the shares of both rows;
        `nep` and `score` are NaN.
    """
    source, target, weight, edge_similarity = _pairs(start, stop, neighbor, similarity, window, float(z))
    return edge_columns(source, target, weight, edge_similarity)


@numba.njit(nogil=True, cache=True)
def gap_lengths(similarity: Float32, window: int, z: float) -> Int64:
    """Return how many of each row's neighbors come before its first outlying gap.

    Parameters
    ----------
    similarity : float32 (N, K)
        Nearest first; the row itself at rank 0 belongs to no gap.
    window : int
        Gaps before the tested one that it is compared with.
    z : float
        Standard deviations above the mean from which a gap cuts. Raising it keeps more neighbors.

    Returns
    -------
    int64 (N,)
        In 1..K, the row itself included.
    """
    length = np.empty(similarity.shape[0], np.int64)
    gap, mean, spread = _buffers(similarity.shape[1])
    for i in range(similarity.shape[0]):
        length[i] = _length(similarity[i], window, z, gap, mean, spread)
    return length


@numba.njit(nogil=True, cache=True)
def _buffers(k):  # type: ignore[no-untyped-def]
    """Work space of `_length` for rows of K neighbors."""
    return np.empty(k, np.float32), np.empty(k, np.float32), np.empty(k, np.float64)


@numba.njit(nogil=True, cache=True)
def _length(similarities, window, z, gap, mean, spread):  # type: ignore[no-untyped-def]
    """Count a row's neighbors before its first outlying gap, from similarities (K,).

    gap, mean and spread (K,) are work space. All windows are summed side by side, each in the order of its gaps: so the loops
    vectorize, and the order of every sum is fixed. Sums of gaps are float32. Squared deviations are float32, their sums float64.
    """
    k = similarities.shape[0]
    num_tested = k - 2 - window
    # Phase 1: the gaps; gap g lies between ranks g + 1 and g + 2.
    for g in range(k - 2):
        gap[g] = similarities[g + 1] - similarities[g + 2]
    # Phase 2: mean (T,) of the gaps before each tested one, rounded to float32.
    for t in range(num_tested):
        mean[t], spread[t] = 0.0, 0.0
    for back in range(window):
        for t in range(num_tested):
            mean[t] += gap[t + back]
    for t in range(num_tested):
        mean[t] = np.float32(mean[t] / window)
    # Phase 3: sum (T,) of their squared deviations.
    for back in range(window):
        for t in range(num_tested):
            deviation = gap[t + back] - mean[t]
            spread[t] += np.float64(deviation * deviation)
    # Phase 4: the first gap above its limit; one exactly at the limit does not cut.
    for t in range(num_tested):
        if gap[t + window] > mean[t] + z * math.sqrt(spread[t] / window):
            return t + window + 2
    return k


@numba.njit(nogil=True, cache=True)
def _scale(similarities, length):  # type: ignore[no-untyped-def]
    """1 / sum of a row's first similarities (K,), its own left out; 0 for a sum of 0.

    float64 holds a sum of float32 similarities above 2^-22 without rounding, so the order of the sum does not matter.
    """
    total = 0.0
    for rank in range(1, length):
        total += max(np.float64(similarities[rank]), 0.0)
    return np.float32(1 / total) if total > 0 else np.float32(0)


@numba.njit(nogil=True, cache=True)
def _pairs(first, last, neighbor, similarity, window, z):  # type: ignore[no-untyped-def]
    """Return source, target, weight and similarity (E,) of the rows first..last."""
    k = neighbor.shape[1]
    gap, mean, spread = _buffers(k)
    # Phase 1: cut and scale (R,) of the shard's own rows, and room for all of their pairs.
    length, scale = np.empty(last - first, np.int64), np.empty(last - first, np.float32)
    for i in range(first, last):
        length[i - first] = _length(similarity[i], window, z, gap, mean, spread)
        scale[i - first] = _scale(similarity[i], length[i - first])
    room = length.sum()
    source, target = np.empty(room, np.int32), np.empty(room, np.int32)
    weight, edge_similarity = np.empty(room, np.float32), np.empty(room, np.float32)
    # Phase 2: the edges, in the order of rows and ranks.
    count = 0
    for i in range(first, last):
        for rank in range(length[i - first]):
            j = neighbor[i, rank]
            if j < 0 or j == i:
                continue
            back = rank_of(i, neighbor[j], k)
            # No cut comes before rank window + 2: the lower row keeps this pair as well, and writes it.
            if 0 <= back < window + 2 and j < i:
                continue
            # The cut of a row of another shard is computed where it matters. Rows of this shard have theirs.
            is_own = first <= j < last
            other_length = 0
            if back >= 0:
                other_length = length[j - first] if is_own else _length(similarity[j], window, z, gap, mean, spread)
                if back >= other_length:
                    back = -1
            # A pair that both rows keep is written by the lower one.
            if j < i and back >= 0:
                continue
            # Each row's share is rounded to float32 before the two are added.
            total = similarity[i, rank] * scale[i - first]
            if back >= 0:
                other_scale = scale[j - first] if is_own else _scale(similarity[j], other_length)
                total += similarity[j, back] * other_scale
            if total > 0:
                source[count], target[count] = min(i, j), max(i, j)
                weight[count], edge_similarity[count] = total, similarity[i, rank]
                count += 1
    return source[:count], target[:count], weight[:count], edge_similarity[:count]
