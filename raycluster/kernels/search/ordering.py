"""Exact similarities of candidates, and the one order that neighbors have.

A similarity is one float64 sum with a fixed order of summation, rounded to float32 once and cut at 1. Neighbors are ordered by
similarity descending, then row ascending. So no tile, shard or thread layout changes a result.

Shapes: Q queries, N database rows, D dimensions, C candidates of a query, K neighbors.
"""

from collections.abc import Callable

import numba
import numpy as np

from raycluster.arrays import Float32, Int32, Int64, Vectors

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
def dot_float64(a: Float32, b: Float32) -> float:
    """Return the inner product in float64, summed in eight lanes on every processor."""
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
    # Two stable sorts: equal similarities keep the ascending order of rows.
    by_id = np.argsort(ids, kind="mergesort")
    order = by_id[np.argsort(-similarities[by_id], kind="mergesort")]
    rank = 0
    # By number, not by similarity: a copy of the row is as similar as the row itself.
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
