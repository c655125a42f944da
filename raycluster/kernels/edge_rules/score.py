"""Rule `score`: pairs whose learned score reaches a limit.

Shapes: N rows in all; R = stop - start rows of a shard; K neighbors per row, the row itself at rank 0; E edges.
"""

from typing import Literal, get_args

import numba
import numpy as np

from raycluster.arrays import Float32, Int32
from raycluster.kernels.edge_rules.columns import Columns, edge_columns, rank_of

Combine = Literal["mean", "geometric", "minimum", "maximum"]
"""How the scores of a pair's two ends become one."""
COMBINE = get_args(Combine)
"""The same, in the order of the numbers that the kernels take."""
_MEAN, _GEOMETRIC, _MINIMUM = 0, 1, 2  # positions in COMBINE
MOST_ODDS = 32.0
"""Cap on the odds of an edge, a score of 0.97. Chosen on the development sets; raising it lets certain edges outweigh the others
further and splits what only edges near the limit hold together."""


def score_edges(
    start: int,
    stop: int,
    neighbor: Int32,
    similarity: Float32,
    score: Float32,
    floor: float,
    combine: Combine,
    *,
    lowest_similarity: float | None = None,
    highest_odds: float | None = None,
) -> Columns:
    """Return the undirected pairs of rows start..stop whose score is at least `floor`.

    Parameters
    ----------
    start, stop : int
        The rows of the shard.
    neighbor : int32 (N, K)
        The neighbors of all rows, -1 past the last one.
    similarity : float32 (R, K)
        Similarities of the shard's rows to their neighbors.
    score : float32 (N, K)
        Learned scores in 0..1, NaN where there is none. A pair without a score, or of score 0, is no edge.
    floor : float
        Lowest score of an edge. Raising it keeps fewer edges.
    combine : {"mean", "geometric", "minimum", "maximum"}
        How the scores of two rows that list each other become one. A pair with one score has that score.
    lowest_similarity : float, optional
        Lowest similarity of an edge. Raising it keeps fewer edges.
    highest_odds : float, optional
        An edge weighs its `odds`, at most this. None: it weighs its score.

    Returns
    -------
    Columns (E,)
        `source` is the lower row of a pair; `nep` is NaN.
    """
    lowest = np.float32(-np.inf if lowest_similarity is None else lowest_similarity)
    number = COMBINE.index(combine)
    source, target, edge_score, edge_similarity = _pairs(
        start, stop, neighbor, similarity, score, np.float32(floor), lowest, number
    )
    weight = edge_score if highest_odds is None else odds(edge_score, highest_odds)
    return edge_columns(source, target, weight, edge_similarity, score=edge_score)


def odds(score: Float32, most: float = MOST_ODDS) -> Float32:
    """Return score / (1 - score) of scores (E,) in 0..1, at most `most`.

    Raising `most` lets certain edges outweigh the others further, and splits what only edges near the limit hold together.
    """
    # The cap is put on the score, in float32, so that 1 - score is never 0.
    highest = np.float32(most / (1 + most))
    capped = np.minimum(score, highest)
    return np.asarray(capped / (1 - capped), np.float32)


@numba.njit(nogil=True, cache=True)
def combined(forth, back, combine):  # type: ignore[no-untyped-def]
    """Return one score of a pair from the scores of its two ends.

    Parameters
    ----------
    forth, back : float32
        The two scores, NaN where an end has none.
    combine : int
        Position in `COMBINE`.

    Returns
    -------
    float32
        Where one score is NaN, the other.
    """
    if np.isnan(back) or np.isnan(forth):
        return back if np.isnan(forth) else forth
    if combine == _MEAN:
        return (forth + back) / np.float32(2)
    if combine == _GEOMETRIC:
        return np.sqrt(forth * back)
    return min(forth, back) if combine == _MINIMUM else max(forth, back)


@numba.njit(nogil=True, cache=True)
def _pairs(first, last, neighbor, similarity, score, floor, lowest_similarity, combine):  # type: ignore[no-untyped-def]
    """Return source, target, score and similarity (E,) of the rows first..last."""
    k = neighbor.shape[1]
    room = (last - first) * (k - 1)
    source, target = np.empty(room, np.int32), np.empty(room, np.int32)
    edge_score, edge_similarity = np.empty(room, np.float32), np.empty(room, np.float32)
    returned, back_score = np.empty(k, np.int64), np.empty(k, np.float32)
    count = 0
    for i in range(first, last):
        # Two loops without branches come first: so the processor fetches the lists of many neighbors at once.
        for rank in range(1, k):
            returned[rank] = rank_of(i, neighbor[max(neighbor[i, rank], 0)], k)
        for rank in range(1, k):
            back_score[rank] = score[max(neighbor[i, rank], 0), max(returned[rank], 0)]
        for rank in range(1, k):
            j, back = neighbor[i, rank], returned[rank]
            # A pair that both rows list is written by the lower one.
            if j < 0 or (j < i and back >= 0):
                continue
            value = combined(score[i, rank], back_score[rank] if back >= 0 else np.float32(np.nan), combine)
            # NaN fails both comparisons: a pair without a score is no edge. Infomap takes no weight of 0.
            own_similarity = similarity[i - first, rank]
            if value >= floor and value > 0 and not own_similarity < lowest_similarity:
                source[count], target[count] = min(i, j), max(i, j)
                edge_score[count], edge_similarity[count] = value, own_similarity
                count += 1
    return source[:count], target[:count], edge_score[:count], edge_similarity[:count]
