"""Exact similarities of candidates, and the one order that neighbors have.

A similarity is one float64 sum with a fixed order of summation, rounded to float32 once and cut at 1. Neighbors are ordered by
similarity descending, then row ascending. So no tile, shard or thread layout changes a result.

Shapes: Q queries, N database rows, D dimensions, C candidates of a query, K neighbors.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.extending import overload

from raycluster.arrays import Float32, Int32, Int64, Vectors
from raycluster.kernels.search.dot import dot_float64

GATHERED_ROWS = 512
"""Database rows that are copied at once while candidates are scored: 1 MiB for 512 dimensions. Results do not depend on it."""
_UNIT_ROUNDOFF = 2.0**-24
"""Largest relative error of one float32 operation."""


def rounding_band(width: int) -> float:
    """Return the most that a float32 inner product of unit vectors (width,) is off.

    Whatever the order of summation: `width` products, as many additions less one, and second-order terms.
    """
    return (width + 2) * _UNIT_ROUNDOFF


@numba.njit(nogil=True, cache=True)
def exact_similarities(query, database, slots, out):  # type: ignore[no-untyped-def]
    """Write the similarity of a query to some database rows.

    Parameters
    ----------
    query : float32 (D,)
        A unit row.
    database : float32 (N, D)
        Unit rows.
    slots : integers (C,)
        The rows to score.
    out : float32 (C,)
        Written: similarities, rounded to float32 and cut at 1, which rows rounded to float16 exceed.
    """
    for i in range(slots.shape[0]):
        out[i] = min(np.float32(dot_float64(query, database[slots[i]])), np.float32(1.0))


@numba.njit(nogil=True, cache=True)
def _widened(halves, wide):  # type: ignore[no-untyped-def]
    """Write float16 bits (D,), uint16, as float32 (D,), exactly, infinities aside."""
    bits = wide.view(np.uint32)
    for i in range(halves.shape[0]):
        half = np.uint32(halves[i])
        # Exponent and fraction move to their places in a float32, whose exponent is 112 too low then.
        bits[i] = ((half & np.uint32(0x8000)) << np.uint32(16)) | ((half & np.uint32(0x7FFF)) << np.uint32(13))
    for i in range(halves.shape[0]):
        wide[i] *= np.float32(2.0**112)


def similarities_of_stored(query: Any, database: Any, slots: Any, out: Any) -> None:
    """Write what `exact_similarities` does, of float16 rows, too.

    Parameters
    ----------
    query : float32 (D,)
        A unit row.
    database : float32 or uint16 (N, D)
        Unit rows; those of float16 as their bits.
    slots : integers (C,)
        The rows to score.
    out : float32 (C,)
        Written.
    """
    raise NotImplementedError("For numba kernels only.")


@overload(similarities_of_stored, jit_options={"nogil": True})
def _similarities_of_stored(query, database, slots, out):  # type: ignore[no-untyped-def] # noqa: ARG001
    def _of_halves(query, database, slots, out):  # type: ignore[no-untyped-def]
        wide = np.empty((1, query.shape[0]), np.float32)
        first = np.zeros(1, np.int64)
        for i in range(slots.shape[0]):
            _widened(database[slots[i]], wide[0])
            exact_similarities(query, wide, first, out[i : i + 1])

    def _of_floats(query, database, slots, out):  # type: ignore[no-untyped-def]
        exact_similarities(query, database, slots, out)

    return _of_halves if database.dtype == numba.types.uint16 else _of_floats


@numba.njit(nogil=True, cache=True)
def ascending_integers(values):  # type: ignore[no-untyped-def]
    """Return int32 (C,) in the order of float32 values (C,); the same steps lead back."""
    ordered = values.view(np.int32).copy()
    for i in range(ordered.shape[0]):
        # The bits of negative floats ascend as the floats descend.
        ordered[i] ^= (ordered[i] >> np.int32(31)) & np.int32(0x7FFFFFFF)
    return ordered


@numba.njit(nogil=True, cache=True)
def kth_largest(ordered, k):  # type: ignore[no-untyped-def]
    """Return the k-th largest of int32 (C,), by halving the range.

    Every count vectorizes.
    """
    low, high = np.int64(ordered.min()), np.int64(ordered.max())
    while low < high:
        middle = (low + high + 1) >> 1
        count, limit = 0, np.int32(middle)
        for i in range(ordered.shape[0]):
            count += ordered[i] >= limit
        if count >= k:
            low = middle
        else:
            high = middle - 1
    return np.int32(low)


def kth_score(scores: Any, k: int) -> Any:
    """Return the k-th largest of int32 or float32 scores (C,)."""
    raise NotImplementedError("For numba kernels only.")


@overload(kth_score, jit_options={"nogil": True})
def _kth_score(scores, k):  # type: ignore[no-untyped-def] # noqa: ARG001
    def of_floats(scores, k):  # type: ignore[no-untyped-def]
        value = np.full(1, kth_largest(ascending_integers(scores), k), np.int32)
        return ascending_integers(value.view(np.float32)).view(np.float32)[0]

    def of_integers(scores, k):  # type: ignore[no-untyped-def]
        return kth_largest(scores, k)

    return of_integers if scores.dtype == numba.types.int32 else of_floats


@numba.njit(nogil=True, cache=True)
def canonical_order(ids, similarities, own, neighbor, similarity):  # type: ignore[no-untyped-def]
    """Write the best candidates of one query in canonical order.

    Parameters
    ----------
    ids, similarities : int32 and float32 (C,)
        The candidates, each once, in any order.
    own : int
        The query's own row, which takes rank 0 with similarity 1; -1 for a query that is no database row.
    neighbor, similarity : int32 and float32 (K,)
        Written; ranks past the last candidate stay as they are.
    """
    # One integer per candidate: similarity descending in its upper half, row ascending in its lower. Adding 0 makes -0 equal 0.
    keys = np.empty(ids.shape[0], np.uint64)
    ordered = ascending_integers(similarities + np.float32(0))
    for slot in range(ids.shape[0]):
        descending = np.uint64(np.int64(2**31) - 1 - np.int64(ordered[slot]))
        keys[slot] = (descending << np.uint64(32)) | np.uint64(np.uint32(ids[slot]))
    keys.sort()
    rank = 0
    # By number, not by similarity: a copy of the row is as similar as the row itself.
    if own >= 0:
        neighbor[0] = own
        similarity[0] = 1.0
        rank = 1
    # The similarity's bits come back by the same steps.
    value = np.empty(1, np.int32)
    for key in keys:
        if rank == neighbor.shape[0]:
            break
        row = np.int32(key & np.uint64(0xFFFFFFFF))
        if row != own:
            value[0] = np.int32(np.int64(2**31) - 1 - np.int64(key >> np.uint64(32)))
            neighbor[rank] = row
            similarity[rank] = ascending_integers(value.view(np.float32)).view(np.float32)[0]
            rank += 1


def rank_candidates(
    query: Float32, own: int, database: Vectors, ids: Int32, neighbor: Int32, similarity: Float32
) -> None:
    """Score one query against some database rows and write its neighbors.

    Parameters
    ----------
    query : float32 (D,)
        A unit row.
    own : int
        The query's own row, or -1.
    database : float32 or float16 (N, D)
        Unit rows.
    ids : int32 (C,)
        The rows to score, each once, in any order.
    neighbor, similarity : int32 and float32 (K,)
        Written; ranks past the last candidate stay as they are.
    """
    exact = np.empty(len(ids), np.float32)
    for start in range(0, len(ids), GATHERED_ROWS):
        rows = np.ascontiguousarray(database[ids[start : start + GATHERED_ROWS]], np.float32)
        exact_similarities(query, rows, np.arange(len(rows), dtype=np.int32), exact[start : start + GATHERED_ROWS])
    k = len(neighbor)
    # Only what reaches the k-th best is sorted, all of its ties included.
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
    """Rank crowded queries against all of their candidates, once per distinct vector.

    Such queries are mostly copies of one picture, so that this costs a scan per distinct vector and not per query.

    Parameters
    ----------
    queries : float32 (Q, D)
        Unit rows.
    own : int32 (Q,)
        Each query's own row, or -1.
    database : float32 or float16 (N, D)
        Unit rows.
    rows : int64
        The crowded ones of the queries.
    candidates_of : callable
        From a crowded query to the database rows (C,) that it is ranked against, each once; the same for equal vectors.
    neighbor, similarity : int32 and float32 (Q, K)
        Written at `rows`.
    """
    ranked: dict[bytes, tuple[Int32, Float32]] = {}
    k = neighbor.shape[1]
    for row in rows:
        key = queries[row].tobytes()
        if key not in ranked:
            # One more than k: each copy leaves out itself.
            ids, scores = np.full(k + 1, -1, np.int32), np.full(k + 1, -1.0, np.float32)
            rank_candidates(queries[row], -1, database, candidates_of(row), ids, scores)
            ranked[key] = ids, scores
        ids, scores = ranked[key]
        first = 0
        if own[row] >= 0:
            neighbor[row, 0], similarity[row, 0], first = own[row], 1.0, 1
        others = np.flatnonzero(ids != own[row])[: k - first]
        neighbor[row, first:], similarity[row, first:] = ids[others], scores[others]
