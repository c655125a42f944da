"""The running best of a block of queries while tiles of scores pass through it.

A tile of scores comes from the BLAS and carries rounding that depends on the tile's shape. So every candidate within twice the
rounding band of the k-th best tile score is kept. These are scored again by one fixed float64 sum and put in canonical order.

Shapes: R queries of a block, T scores of a tile per query, D dimensions, k neighbors, S slots per query.
"""

import numba
import numpy as np

from raycluster.arrays import Float32, Int32, Int64, Vectors
from raycluster.kernels.search.ordering import canonical_order, exact_similarities, rank_candidates, rounding_band

_CHUNK = 64
"""Scores that are tested at once for any that reaches the floor: four 512-bit registers. Results do not depend on it."""
_FEW = 16
"""Scores that are tested at once where a chunk has one, and then one by one. Results do not depend on it."""
SLOTS_PER_NEIGHBOR, MORE_SLOTS = 4, 64
"""Slots of a query: 4 k + 64. Raising them makes fewer queries crowded, each of which costs a scan, and takes memory."""
CROWDED = 3 / 4
"""Share of the slots that, filled within the rounding band after a compaction, make a query crowded."""


@numba.njit(nogil=True, cache=True)
def _any_at_least(scores, limit):  # type: ignore[no-untyped-def]
    """Whether one of `_CHUNK` scores reaches the limit; its fixed length vectorizes."""
    reached = np.int32(0)
    for i in range(_CHUNK):
        reached |= np.int32(scores[i] >= limit)
    return reached > 0


@numba.njit(nogil=True, cache=True)
def _any_of_few_at_least(scores, limit):  # type: ignore[no-untyped-def]
    """Whether one of `_FEW` scores reaches the limit."""
    reached = np.int32(0)
    for i in range(_FEW):
        reached |= np.int32(scores[i] >= limit)
    return reached > 0


@numba.njit(nogil=True, cache=True)
def _compact(held_score, held_id, held, k, band):  # type: ignore[no-untyped-def]
    """Keep candidates within the band of a query's k-th best; return count and floor."""
    capacity = held_score.shape[0]
    kth = np.partition(held_score[:held], held - k)[held - k]
    # Scores above 1 count as 1, so that ties there are kept.
    limit = np.float32(min(kth, np.float32(1.0)) - 2 * band)
    count = 0
    for slot in range(held):
        if held_score[slot] >= limit:
            held_score[count] = held_score[slot]
            held_id[count] = held_id[slot]
            count += 1
    return count, np.float32(np.inf) if count > CROWDED * capacity else limit


@numba.njit(nogil=True, cache=True)
def _select(scores, ids, rows, k, band, held, room, held_score, held_id, floor):  # type: ignore[no-untyped-def]
    """Push the tile scores that reach each query's floor into its candidates.

    A query is compacted whenever k have come in. One with more candidates in the rounding band than it can hold gets an infinite
    floor: it is crowded, and takes no more.

    Parameters
    ----------
    scores : float32 (lines, T)
        Tile scores of the queries `rows`.
    ids, rows : int32 (T,) and int64 (lines,)
        Database rows of the tile, and queries of the lines.
    k, band : int and float
        Neighbors, and rounding band.
    held, room : int64 (R,)
        Candidates of each query, and how many before the next compaction.
    held_score, held_id : (R, S)
        The candidates.
    floor : float32 (R,)
        Score that a candidate must reach.
    """
    capacity = held_score.shape[1]
    columns = scores.shape[1]
    for line in range(scores.shape[0]):
        row = rows[line]
        limit = floor[row]
        count = held[row]
        column = 0
        while column < columns:
            # Phase 1: skip scores below the floor, by chunks and then by a few. A chunk that has one leads to it.
            if columns - column >= _CHUNK:
                if not _any_at_least(scores[line, column : column + _CHUNK], limit):
                    column += _CHUNK
                    continue
                while not _any_of_few_at_least(scores[line, column : column + _FEW], limit):
                    column += _FEW
            elif columns - column >= _FEW and not _any_of_few_at_least(scores[line, column : column + _FEW], limit):
                column += _FEW
                continue
            # Phase 2: take those that reach it. Compacting raises the floor, maybe above the score at hand.
            for at in range(column, min(column + _FEW, columns)):
                score = scores[line, at]
                if score >= limit:
                    if count == room[row]:
                        count, limit = _compact(held_score[row], held_id[row], count, k, band)
                        room[row] = min(capacity, count + k)
                        if score < limit:
                            continue
                    held_score[row, count] = score
                    held_id[row, count] = ids[at]
                    count += 1
            column += _FEW
        floor[row] = limit
        held[row] = count


@numba.njit(nogil=True, cache=True)
def _best_slots(held_score, count, k, band):  # type: ignore[no-untyped-def]
    """Return the slots whose tile score is within the band of the k-th best, or above."""
    if count <= k:
        return np.arange(count)
    scores = held_score[:count]
    kth = np.partition(scores, count - k)[count - k]
    return np.flatnonzero(scores >= min(kth, np.float32(1.0)) - 2 * band)


@numba.njit(nogil=True, cache=True)
def _finish(queries, own, database, floor, band, held, held_score, held_id, neighbor, similarity):  # type: ignore[no-untyped-def]
    """Score the candidates of queries that are not crowded anew; write them in order."""
    for row in range(queries.shape[0]):
        if floor[row] == np.inf:
            continue
        kept = held_id[row][_best_slots(held_score[row], held[row], neighbor.shape[1], band)]
        exact = np.empty(kept.shape[0], np.float32)
        exact_similarities(queries[row], database, kept, exact)
        canonical_order(kept, exact, own[row], neighbor[row], similarity[row])


class Candidates:
    """The running best of a block of queries while tiles of scores are pushed through.

    Parameters
    ----------
    rows, width : int
        Queries R, and dimensions D.
    k : int
        Neighbors per query.
    floor : float32 (R,), optional
        The similarity of a k-th neighbor from elsewhere; lower ones may be dropped.
    """

    def __init__(self, rows: int, width: int, k: int, floor: Float32 | None = None) -> None:
        self._k = k
        self._band = rounding_band(width)
        capacity = SLOTS_PER_NEIGHBOR * k + MORE_SLOTS
        self._held = np.zeros(rows, np.int64)
        self._room = np.full(rows, 2 * k, np.int64)
        self._score = np.empty((rows, capacity), np.float32)
        self._id = np.empty((rows, capacity), np.int32)
        self._floor = np.full(rows, -np.inf, np.float32) if floor is None else floor - np.float32(2 * self._band)

    def push(self, scores: Float32, ids: Int32, rows: Int64) -> None:
        """Offer database rows to some of the queries.

        Parameters
        ----------
        scores : float32 (lines, T)
            Tile scores.
        ids : int32 (T,)
            The database rows.
        rows : int64 (lines,)
            The queries.
        """
        _select(scores, ids, rows, self._k, self._band, self._held, self._room, self._score, self._id, self._floor)

    def finish(self, queries: Float32, own: Int32, database: Vectors) -> tuple[Int32, Float32, Int64]:
        """Return the neighbors in canonical order, and which queries are crowded.

        Parameters
        ----------
        queries : float32 (R, D)
            Unit rows.
        own : int32 (R,)
            Each query's own database row, or -1.
        database : float32 or float16 (N, D)
            Unit rows.

        Returns
        -------
        neighbor, similarity : int32 and float32 (R, k)
            -1 in both past the last candidate, and for crowded queries.
        crowded : int64
            Queries that are still to be ranked.
        """
        neighbor = np.full((len(queries), self._k), -1, np.int32)
        similarity = np.full((len(queries), self._k), -1.0, np.float32)
        if database.dtype == np.float32:
            state = (self._floor, self._band, self._held, self._score, self._id)
            _finish(queries, own, database, *state, neighbor, similarity)
        else:
            # numba has no float16: its rows are widened a query at a time.
            for row in np.flatnonzero(~np.isposinf(self._floor)):
                slots = _best_slots(self._score[row], self._held[row], self._k, self._band)
                ids = self._id[row][slots]
                rank_candidates(queries[row], int(own[row]), database, ids, neighbor[row], similarity[row])
        return neighbor, similarity, np.flatnonzero(np.isposinf(self._floor))
