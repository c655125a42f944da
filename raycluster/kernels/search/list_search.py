"""Approximate top-K over an inverted file: first the lists nearest to a query, then those that may still hold neighbors.

A query's k-th best similarity in its nearest lists tells how hard it is: in the middle of an identity it is high and few
other lists can beat it, among strangers it is low and many can. So the second pass reads the lists whose centroid comes
within a margin of it. Both passes are list-major: all queries that read a list meet its rows in one gemm.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numba
import numpy as np

from raycluster.arrays import Float32, Int32, Int64, Vectors
from raycluster.kernels.search.inverted_file import InvertedFile
from raycluster.kernels.search.nearest import (
    Candidates,
    canonical_order,
    dot_float64,
    exact_similarities,
    exact_top_k,
    map_blocks,
    rank_crowded,
    rounding_band,
)

QUERY_BLOCK = 16384
CENTROID_TILE = 256


@dataclass(frozen=True)
class Probing:
    """Which lists a query reads."""

    nearest: int
    """Lists of the first pass, those of nearest centroid. Raising it raises recall and time in proportion."""
    margin: float | None = None
    """The second pass reads lists whose centroid's similarity to the query is at least this much above the k-th best of
    the first pass (mostly below: then it is negative). Lowering it raises recall and time; none means no second pass."""


@numba.njit(nogil=True, cache=True)
def _reached(scores, limits, band, queries, centroid, read, number, out):  # type: ignore[no-untyped-def]
    """Queries whose exact similarity to a centroid reaches their limit and that have not read its list; how many."""
    found = 0
    for row in range(scores.shape[0]):
        limit = limits[row]
        if scores[row] < limit - band:
            continue
        if scores[row] < limit + band and min(np.float32(dot_float64(queries[row], centroid)), np.float32(1)) < limit:
            continue
        new = True
        for already in read[row]:
            new = new and already != number
        if new:
            out[found] = row
            found += 1
    return found


@numba.njit(nogil=True, cache=True)
def _merge(own, neighbor, similarity, more_neighbor, more_similarity):  # type: ignore[no-untyped-def]
    """Put the best of two canonical lists a row, which share no row, into the first."""
    for row in range(neighbor.shape[0]):
        one = np.sum(neighbor[row] >= 0)
        more = np.sum(more_neighbor[row] >= 0)
        if more > 0:
            ids = np.concatenate((neighbor[row, :one], more_neighbor[row, :more]))
            scores = np.concatenate((similarity[row, :one], more_similarity[row, :more]))
            canonical_order(ids, scores, own[row], neighbor[row], similarity[row])


def second_limits(kth: Float32, margin: float) -> Float32:
    """Similarity to a centroid from which its list is read in the second pass, for k-th best similarities `kth`."""
    limits: Float32 = (kth.astype(np.float64) + margin).astype(np.float32)
    return limits


def list_top_k(
    queries: Vectors, own: Int32, database: Vectors, index: InvertedFile, probing: Probing, k: int, threads: int = 1
) -> tuple[Int32, Float32]:
    """Approximate top-`k`: like `nearest.exact_top_k`, over the lists of `probing` only.

    Where these hold fewer than `k` rows, the last ranks are filled with neighbor -1 and similarity -1. The result depends
    neither on how the queries are cut nor on `threads`.
    """
    none = np.full(len(queries), -1, np.int32)
    nearest, _ = exact_top_k(queries, none, index.centroids, min(probing.nearest, len(index.centroids)), threads)
    order = np.argsort(nearest[:, 0], kind="stable")  # queries of one list share neighbors: these stay in the cache
    band = np.float32(rounding_band(queries.shape[1]))

    def scan(
        part: Float32,
        ids: Int32,
        visits: Iterator[tuple[int, Int64]],
        lists_of: Callable[[int], Int64 | Int32],
        floor: Float32 | None = None,
    ) -> tuple[Int32, Float32]:
        """Top-k of a block over its `visits`, each a list and the block's rows that read it."""
        candidates = Candidates(len(part), part.shape[1], k, floor)
        for number, rows in visits:
            members = index.rows_of(number)
            if len(members):
                vectors = np.asarray(database[members], np.float32)
                candidates.push(part[rows] @ vectors.T, members, rows)
        neighbor, similarity, crowded = candidates.finish(part, ids, database)

        def near(row: int) -> Int32:
            return np.concatenate([index.rows_of(number) for number in lists_of(row)])

        rank_crowded(part, ids, database, crowded, near, neighbor, similarity)
        return neighbor, similarity

    def first_visits(read: Int32) -> Iterator[tuple[int, Int64]]:
        by_list = np.argsort(read.ravel(), kind="stable")
        bounds = np.searchsorted(read.ravel()[by_list], np.arange(len(index.centroids) + 1))
        for number in np.flatnonzero(np.diff(bounds)):
            yield int(number), by_list[bounds[number] : bounds[number + 1]] // read.shape[1]

    def second_visits(part: Float32, limits: Float32, read: Int32) -> Iterator[tuple[int, Int64]]:
        out = np.empty(len(part), np.int64)
        for start in range(0, len(index.centroids), CENTROID_TILE):
            tile = index.centroids[start : start + CENTROID_TILE]
            for line, scores in enumerate(tile @ part.T):
                found = _reached(scores, limits, band, part, tile[line], read, start + line, out)
                if found:
                    yield start + line, out[:found]

    def second_lists(query: Float32, limit: float, read: Int32) -> Int64:
        scores = np.empty(len(index.centroids), np.float32)
        exact_similarities(query, index.centroids, np.arange(len(scores)), scores)
        return np.setdiff1d(np.flatnonzero(scores >= limit), read)

    def block(start: int) -> tuple[Int32, Float32]:
        chosen = order[start : start + size]
        part = np.ascontiguousarray(queries[chosen], np.float32)
        ids, read = own[chosen], nearest[chosen]
        neighbor, similarity = scan(part, ids, first_visits(read), lambda row: read[row])
        if probing.margin is not None:
            kth = similarity[:, -1].copy()
            limits = second_limits(kth, probing.margin)
            more = scan(
                part,
                none[: len(part)],
                second_visits(part, limits, read),
                lambda row: second_lists(part[row], limits[row], read[row]),
                kth,
            )
            _merge(ids, neighbor, similarity, *more)
        return neighbor, similarity

    rounds = -(-len(queries) // (QUERY_BLOCK * threads))
    size = -(-len(queries) // (rounds * threads))
    by_list = map_blocks(block, len(queries), size, threads)
    neighbor, similarity = np.empty_like(by_list[0]), np.empty_like(by_list[1])
    neighbor[order], similarity[order] = by_list
    return neighbor, similarity
