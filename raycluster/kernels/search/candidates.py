"""The running best of a block of queries while tiles of scores pass through it.

A tile of scores comes from the BLAS and carries rounding that depends on the tile's shape. Or it holds products of codes, which
are off by more. So every candidate within this slack of the k-th best tile score is kept. These are scored again by one fixed
float64 sum and put in canonical order.

Shapes: R queries of a block, T scores of a tile per query, D dimensions, k neighbors, S slots per query.
"""

from dataclasses import dataclass

import numba
import numpy as np

from raycluster.arrays import Float32, Float64, Int32, Int64, Vectors
from raycluster.kernels.search.codes import multiplies_bytes
from raycluster.kernels.search.ordering import canonical_order, kth_score, rounding_band, similarities_of_stored

_CHUNK = 64
"""Scores that are tested at once for any that reaches the floor: four 512-bit registers. Results do not depend on it."""
_FEW = 16
"""Scores that are tested at once where a chunk has one, and then one by one. Results do not depend on it."""
SLOTS_PER_NEIGHBOR, MORE_SLOTS = 4, 64
"""Slots of a query: 4 k + 64. Raising them makes fewer queries crowded, each of which costs a scan, and takes memory."""
CROWDED = 3 / 4
"""Share of the slots that, filled within the slack after a compaction, make a query crowded."""
FEWEST = 32
"""Candidates that come in between two compactions, at least. MORE_SLOTS has room for them. Results do not depend on it."""
NEVER = 2**31 - 1
"""Floor of a crowded query: above any similarity, and above any product of codes."""


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
def _compact(held_score, held_id, held, k, slack, cap):  # type: ignore[no-untyped-def]
    """Keep candidates within the slack of a query's k-th best; return count and floor."""
    capacity = held_score.shape[0]
    kth = kth_score(held_score[:held], k)
    # Scores above 1 count as 1, so that ties there are kept.
    limit = held_score.dtype.type(min(kth, cap) - slack)
    count = 0
    for slot in range(held):
        if held_score[slot] >= limit:
            held_score[count] = held_score[slot]
            held_id[count] = held_id[slot]
            count += 1
    return count, held_score.dtype.type(NEVER) if count > CROWDED * capacity else limit


@numba.njit(nogil=True, cache=True)
def _select(scores, ids, rows, k, slack, cap, held, room, held_score, held_id, floor):  # type: ignore[no-untyped-def]
    """Push the tile scores that reach each query's floor into its candidates.

    A query is compacted whenever k or `FEWEST` have come in. One with more candidates within its slack than it can hold gets
    a floor that no score reaches: it is crowded, and takes no more.

    Parameters
    ----------
    scores : float32 or int32 (lines, T)
        Tile scores of the queries `rows`.
    ids, rows : int32 (T,) and int64 (lines,)
        Database rows of the tile, and queries of the lines.
    k : int
        Neighbors.
    slack : float64 or int64 (R,)
        How far below its k-th best score a query's neighbors may lie.
    cap : as the scores
        The score of a similarity of 1.
    held, room : int64 (R,)
        Candidates of each query, and how many before the next compaction.
    held_score, held_id : (R, S)
        The candidates.
    floor : (R,), as the scores
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
                        count, limit = _compact(held_score[row], held_id[row], count, k, slack[row], cap)
                        room[row] = min(capacity, count + max(k, FEWEST))
                        if score < limit:
                            continue
                    held_score[row, count] = score
                    held_id[row, count] = ids[at]
                    count += 1
            column += _FEW
        floor[row] = limit
        held[row] = count


@numba.njit(nogil=True, cache=True)
def _best_slots(held_score, count, k, slack, cap):  # type: ignore[no-untyped-def]
    """Return the slots whose score is within the slack of the k-th best, or above."""
    if count <= k:
        return np.arange(count)
    scores = held_score[:count]
    kth = kth_score(scores, k)
    return np.flatnonzero(scores >= min(kth, cap) - slack)


@numba.njit(nogil=True, cache=True)
def _finish(queries, own, database, floor, slack, cap, held, held_score, held_id, neighbor, similarity):  # type: ignore[no-untyped-def]
    """Score the candidates of queries that are not crowded anew; write them in order."""
    for row in range(queries.shape[0]):
        if floor[row] == held_score.dtype.type(NEVER):
            continue
        kept = held_id[row][_best_slots(held_score[row], held[row], neighbor.shape[1], slack[row], cap)]
        exact = np.empty(kept.shape[0], np.float32)
        similarities_of_stored(queries[row], database, kept, exact)
        canonical_order(kept, exact, own[row], neighbor[row], similarity[row])


@dataclass(frozen=True)
class Scores:
    """What scores of a block of queries mean."""

    slack: Float64 | Int64
    """(R,): how far below its k-th best score a query's neighbors may lie."""
    cap: float
    """The score of a similarity of 1."""
    dtype: type
    """Of the scores: float32, or int32 for products of codes."""

    @classmethod
    def rounded(cls, rows: int, width: int) -> "Scores":
        """Return those of products of float32 rows (R, D), rounded by their band."""
        return cls(np.full(rows, 2 * rounding_band(width)), 1.0, np.float32)

    @classmethod
    def of_codes(cls, slack: Int64, unit: int) -> "Scores":
        """Return those of products of codes, which are off by their slack (R,)."""
        return cls(slack, unit, np.int32 if multiplies_bytes() else np.float32)


class Candidates:
    """The running best of a block of queries while tiles of scores are pushed through.

    Parameters
    ----------
    scores : Scores
        Of R queries.
    k : int
        Neighbors per query.
    floor : float32 (R,), optional
        The similarity of a k-th neighbor from elsewhere; lower ones may be dropped.
    slots : int
        Slots of a query, in multiples of 4 k + 64. Raising it makes fewer queries crowded, and takes memory.
    """

    def __init__(self, scores: Scores, k: int, floor: Float32 | None = None, slots: int = 1) -> None:
        self._k = k
        self._slack, self._cap = scores.slack, scores.dtype(scores.cap)
        rows, capacity = len(scores.slack), slots * (SLOTS_PER_NEIGHBOR * k + MORE_SLOTS)
        self._held = np.zeros(rows, np.int64)
        self._room = np.full(rows, k + max(k, FEWEST), np.int64)
        self._score: Float32 | Int32 = np.empty((rows, capacity), scores.dtype)
        self._id = np.empty((rows, capacity), np.int32)
        lowest = np.full(rows, -1.0) if floor is None else floor.astype(np.float64)
        # Without a floor, 2 below -1: no score is as low.
        limit = lowest * scores.cap - scores.slack - (2 * scores.cap if floor is None else 0)
        self._floor: Float32 | Int32 = (np.floor(limit) if isinstance(scores.cap, int) else limit).astype(scores.dtype)

    def push(self, scores: Float32 | Int32, ids: Int32, rows: Int64) -> None:
        """Offer database rows to some of the queries.

        Parameters
        ----------
        scores : float32 or int32 (lines, T)
            Tile scores.
        ids : int32 (T,)
            The database rows.
        rows : int64 (lines,)
            The queries.
        """
        state = (self._held, self._room, self._score, self._id, self._floor)
        _select(scores, ids, rows, self._k, self._slack, self._cap, *state)

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
        state = (self._floor, self._slack, self._cap, self._held, self._score, self._id)
        # numba has no float16: its bits pass as integers.
        stored = database.view(np.uint16) if database.dtype == np.float16 else database
        _finish(queries, own, stored, *state, neighbor, similarity)
        return neighbor, similarity, np.flatnonzero(self._floor == self._score.dtype.type(NEVER))
