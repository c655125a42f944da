"""Exact top-K by inner product on the CPU: gemm tiles, a fused selection kernel, one canonical order.

A tile of scores comes from the BLAS and carries rounding that depends on the tile's shape. Selection therefore keeps
every candidate within `2 * band` of the K-th best tile score, where `band` bounds that rounding; the candidates are then
scored again, each pair by the same float64 sum, and ordered by (similarity descending, row ascending). So the result is
the same for every tile, shard and thread layout. Scores above 1, which rows rounded to float16 reach, count as 1.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from raycluster.arrays import Float32, Int32, Int64, Vectors

QUERY_BLOCK = 1024
DATABASE_TILE = 512
_CHUNK = 64
_FEW = 16


def rounding_band(width: int) -> float:
    """Largest error of a float32 inner product of two unit vectors of `width` dimensions, in any order of summation."""
    return (width + 2) * 2.0**-24


@numba.njit(nogil=True, cache=True)
def dot_float64(a: Float32, b: Float32) -> float:
    """Inner product in float64 with one fixed order of summation (eight lanes), the same on every processor."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    width = a.shape[0]
    whole = width - width % 8
    for i in range(0, whole, 8):
        s0 += np.float64(a[i]) * np.float64(b[i])
        s1 += np.float64(a[i + 1]) * np.float64(b[i + 1])
        s2 += np.float64(a[i + 2]) * np.float64(b[i + 2])
        s3 += np.float64(a[i + 3]) * np.float64(b[i + 3])
        s4 += np.float64(a[i + 4]) * np.float64(b[i + 4])
        s5 += np.float64(a[i + 5]) * np.float64(b[i + 5])
        s6 += np.float64(a[i + 6]) * np.float64(b[i + 6])
        s7 += np.float64(a[i + 7]) * np.float64(b[i + 7])
    for i in range(whole, width):
        s0 += np.float64(a[i]) * np.float64(b[i])
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@numba.njit(nogil=True, cache=True)
def _any_at_least(scores, limit):  # type: ignore[no-untyped-def]
    """Whether one of `_CHUNK` scores reaches the limit: a loop of fixed length, for the compiler to vectorize."""
    found = np.int32(0)
    for i in range(_CHUNK):
        found |= np.int32(scores[i] >= limit)
    return found > 0


@numba.njit(nogil=True, cache=True)
def _any_of_few_at_least(scores, limit):  # type: ignore[no-untyped-def]
    found = np.int32(0)
    for i in range(_FEW):
        found |= np.int32(scores[i] >= limit)
    return found > 0


@numba.njit(nogil=True, cache=True)
def _compact(held_score, held_id, held, k, band):  # type: ignore[no-untyped-def]
    """Keep a row's candidates within the rounding band of the k-th best; returns how many, and the new floor."""
    capacity = held_score.shape[0]
    kth = np.partition(held_score[:held], held - k)[held - k]
    limit = np.float32(min(kth, np.float32(1.0)) - 2 * band)
    count = 0
    for slot in range(held):
        if held_score[slot] >= limit:
            held_score[count] = held_score[slot]
            held_id[count] = held_id[slot]
            count += 1
    return count, np.float32(np.inf) if 4 * count > 3 * capacity else limit


@numba.njit(nogil=True, cache=True)
def _select(scores, ids, rows, k, band, held, room, held_score, held_id, floor):  # type: ignore[no-untyped-def]
    """Push the tile scores above each row's floor into its candidates, compacting a row whenever `k` have come in.

    A row with more candidates inside the rounding band than it can hold gets an infinite floor: it is crowded.
    """
    capacity = held_score.shape[1]
    columns = scores.shape[1]
    for line in range(scores.shape[0]):
        row = rows[line]
        limit = floor[row]
        count = held[row]
        column = 0
        while column < columns:
            if columns - column >= _CHUNK:
                if not _any_at_least(scores[line, column : column + _CHUNK], limit):
                    column += _CHUNK
                    continue
                while not _any_of_few_at_least(scores[line, column : column + _FEW], limit):
                    column += _FEW
            elif columns - column >= _FEW and not _any_of_few_at_least(scores[line, column : column + _FEW], limit):
                column += _FEW
                continue
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
def exact_similarities(query, database, slots, out):  # type: ignore[no-untyped-def]
    for i in range(slots.shape[0]):
        out[i] = min(np.float32(dot_float64(query, database[slots[i]])), np.float32(1.0))


@numba.njit(nogil=True, cache=True)
def canonical_order(ids, similarities, own, neighbor, similarity):  # type: ignore[no-untyped-def]
    """Write the best of one row's candidates by (similarity descending, id ascending); `own` >= 0 takes rank 0."""
    by_id = np.argsort(ids, kind="mergesort")
    order = by_id[np.argsort(-similarities[by_id], kind="mergesort")]
    rank = 0
    if own >= 0:
        neighbor[0] = own
        similarity[0] = 1.0
        rank = 1
    for slot in order:
        if rank == neighbor.shape[0]:
            break
        if ids[slot] != own:
            neighbor[rank] = ids[slot]
            similarity[rank] = similarities[slot]
            rank += 1


@numba.njit(nogil=True, cache=True)
def _best_slots(held_score, count, k, band):  # type: ignore[no-untyped-def]
    """Slots whose tile score lies within the rounding band of the k-th best, or above it."""
    if count <= k:
        return np.arange(count)
    scores = held_score[:count]
    kth = np.partition(scores, count - k)[count - k]
    return np.flatnonzero(scores >= min(kth, np.float32(1.0)) - 2 * band)


@numba.njit(nogil=True, cache=True)
def _finish(queries, own, database, floor, band, held, held_score, held_id, neighbor, similarity):  # type: ignore[no-untyped-def]
    """Score the candidates of every row that is not crowded again, in float64, and put them in canonical order."""
    for row in range(queries.shape[0]):
        if floor[row] == np.inf:
            continue
        kept = held_id[row][_best_slots(held_score[row], held[row], neighbor.shape[1], band)]
        exact = np.empty(kept.shape[0], np.float32)
        exact_similarities(queries[row], database, kept, exact)
        canonical_order(kept, exact, own[row], neighbor[row], similarity[row])


class Candidates:
    """The running best of a block of query rows while tiles of scores are pushed through it.

    Similarities below `floor` (R,), a row's `k`-th best known from elsewhere, may be dropped.
    """

    def __init__(self, rows: int, width: int, k: int, floor: Float32 | None = None) -> None:
        self._k = k
        self._band = rounding_band(width)
        capacity = 4 * k + 64
        self._held = np.zeros(rows, np.int64)
        self._room = np.full(rows, 2 * k, np.int64)
        self._score = np.empty((rows, capacity), np.float32)
        self._id = np.empty((rows, capacity), np.int32)
        self._floor = np.full(rows, -np.inf, np.float32) if floor is None else floor - np.float32(2 * self._band)

    def push(self, scores: Float32, ids: Int32, rows: Int64) -> None:
        """Offer `scores` (R, T) of database rows `ids` (T,) to the block's query rows `rows` (R,)."""
        _select(scores, ids, rows, self._k, self._band, self._held, self._room, self._score, self._id, self._floor)

    def finish(self, queries: Float32, own: Int32, database: Vectors) -> tuple[Int32, Float32, Int64]:
        """Return neighbor (R, k) and similarity (R, k) in canonical order, and the crowded rows, still to be ranked.

        Ranks that no candidate fills hold neighbor -1 and similarity -1.
        """
        neighbor = np.full((len(queries), self._k), -1, np.int32)
        similarity = np.full((len(queries), self._k), -1.0, np.float32)
        state = (self._floor, self._band, self._held, self._score)
        if database.dtype == np.float32:
            _finish(queries, own, database, *state, self._id, neighbor, similarity)
        else:
            self._finish_rows_of_other_dtype(queries, own, database, neighbor, similarity)
        return neighbor, similarity, np.flatnonzero(np.isposinf(self._floor))

    def _finish_rows_of_other_dtype(
        self, queries: Float32, own: Int32, database: Vectors, neighbor: Int32, similarity: Float32
    ) -> None:
        for row in np.flatnonzero(~np.isposinf(self._floor)):
            slots = _best_slots(self._score[row], self._held[row], self._k, self._band)
            rank_candidates(queries[row], int(own[row]), database, self._id[row][slots], neighbor[row], similarity[row])


def rank_candidates(
    query: Float32, own: int, database: Vectors, ids: Int32, neighbor: Int32, similarity: Float32
) -> None:
    """Rank one query against the database rows `ids` by the fixed kernel alone, writing its neighbor row (k,)."""
    exact = np.empty(len(ids), np.float32)
    for start in range(0, len(ids), DATABASE_TILE):
        part = np.ascontiguousarray(database[ids[start : start + DATABASE_TILE]], np.float32)
        exact_similarities(query, part, np.arange(len(part), dtype=np.int32), exact[start : start + DATABASE_TILE])
    k = len(neighbor)
    if len(ids) > k:
        best = np.flatnonzero(exact >= np.partition(exact, len(ids) - k)[len(ids) - k])
        ids, exact = ids[best], exact[best]
    canonical_order(ids, exact, own, neighbor, similarity)


def rank_crowded(
    queries: Float32,
    own: Int32,
    database: Vectors,
    rows: Int64,
    candidates_of: Callable[[int], Int32],
    neighbor: Int32,
    similarity: Float32,
) -> None:
    """Rank each of `rows` against `candidates_of(row)` in full, once for all rows that hold the same vector.

    Such rows are mostly copies of one picture, so this costs a scan a distinct vector, not a scan a row.
    """
    ranked: dict[bytes, tuple[Int32, Float32]] = {}
    k = neighbor.shape[1]
    for row in rows:
        key = queries[row].tobytes()
        if key not in ranked:
            ids, scores = np.full(k + 1, -1, np.int32), np.full(k + 1, -1.0, np.float32)
            rank_candidates(queries[row], -1, database, candidates_of(row), ids, scores)
            ranked[key] = ids, scores
        ids, scores = ranked[key]
        first = 0
        if own[row] >= 0:
            neighbor[row, 0], similarity[row, 0], first = own[row], 1.0, 1
        others = np.flatnonzero(ids != own[row])[: k - first]
        neighbor[row, first:], similarity[row, first:] = ids[others], scores[others]


def exact_top_k(queries: Vectors, own: Int32, database: Vectors, k: int, threads: int = 1) -> tuple[Int32, Float32]:
    """The `k` database rows of highest inner product for each query.

    queries (Q, D) and database (N, D) are unit rows, float32 or float16 (a float16 row is widened tile by tile);
    own (Q,) is each query's own database row, forced to rank 0 with similarity 1, or -1 for a query that is none.
    Returns neighbor int32 (Q, k) and similarity float32 (Q, k) in at most 1, ordered by similarity descending, then row
    ascending. `threads` query blocks run at once, each with a single-threaded BLAS; the result does not depend on it.
    """
    everything = np.arange(len(database), dtype=np.int32)

    def block(start: int) -> tuple[Int32, Float32]:
        part = np.ascontiguousarray(queries[start : start + QUERY_BLOCK], np.float32)
        ids = own[start : start + QUERY_BLOCK]
        candidates = Candidates(len(part), part.shape[1], k)
        rows = np.arange(len(part))
        scores = np.empty((len(part), DATABASE_TILE), np.float32)
        for first in range(0, len(database), DATABASE_TILE):
            tile = np.asarray(database[first : first + DATABASE_TILE], np.float32)
            found = np.matmul(part, tile.T, out=scores if len(tile) == DATABASE_TILE else None)
            candidates.push(found, everything[first : first + DATABASE_TILE], rows)
        neighbor, similarity, crowded = candidates.finish(part, ids, database)
        rank_crowded(part, ids, database, crowded, lambda row: everything, neighbor, similarity)
        return neighbor, similarity

    return map_blocks(block, len(queries), QUERY_BLOCK, threads)


def map_blocks(
    block: Callable[[int], tuple[Int32, Float32]], rows: int, size: int, threads: int
) -> tuple[Int32, Float32]:
    """Run `block(start)` for every block of `size` rows on `threads` threads and stack the results in order."""
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(block, range(0, rows, size)))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
