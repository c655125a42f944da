"""Approximate top-K over an inverted file, in two passes.

The first pass reads the lists nearest to a query. Its k-th best similarity shows how hard the query is. In the middle of an
identity it is high, and few other lists can beat it; among strangers it is low, and many can. So the second pass reads the lists
whose centroid comes within a margin of it. In both passes all queries that read a list meet its rows in one matrix product.

Shapes: Q queries, R queries of a block, N database rows, D dimensions, L lists, P lists of the first pass, k neighbors.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np

from raycluster.arrays import Float32, Int32, Int64, Ints, Vectors
from raycluster.kernels.advance import unheard
from raycluster.kernels.search.candidates import Candidates, Scores
from raycluster.kernels.search.codes import Codes, encode, load, products
from raycluster.kernels.search.dot import dot_float64
from raycluster.kernels.search.inverted_file import InvertedFile
from raycluster.kernels.search.nearest import exact_top_k, map_blocks
from raycluster.kernels.search.ordering import (
    canonical_order,
    exact_similarities,
    rank_crowded,
    rounding_band,
)

QUERY_BLOCK = 65536
"""Queries of a block at most. Raising it lets more of them meet a list at once and takes memory, 3 KB per query for K = 80.
Results do not depend on it."""
CENTROID_TILE = 64
"""Centroids compared with a block at once: 16 MiB of scores. Results do not depend on it."""
READ_SHARE = 0.1
"""Share of the rows that a search is taken to read when it decides whether torch is worth its import. Results do not depend on
it; dense sets read 0.04 to 0.15."""
_CHUNK = 64
"""Queries that are tested at once for any that reads a list: four 512-bit registers. Results do not depend on it."""

Visits = Iterator[tuple[int, Int64]]
"""Lists, each with those queries of a block that read it."""


@dataclass(frozen=True)
class Probing:
    """Which lists a query reads."""

    nearest: int
    """Lists of the first pass, those of nearest centroid. Raising it raises recall and time in proportion."""
    margin: float | None = None
    """The second pass reads lists whose centroid is at least this much more similar to the query than the k-th best of the
    first pass. Mostly it is less similar: then the margin is negative. Lowering it raises recall and time. None: there is
    no second pass."""


def second_limits(kth: Float32, margin: float) -> Float32:
    """Return the similarity from which a centroid's list is read in the second pass.

    `kth` (R,) is the k-th best similarity of the first pass. The sum is float64, rounded to float32 once.
    """
    limits: Float32 = (kth.astype(np.float64) + margin).astype(np.float32)
    return limits


def list_top_k(
    queries: Vectors, own: Int32, database: Vectors, index: InvertedFile, probing: Probing, k: int, threads: int = 1
) -> tuple[Int32, Float32]:
    """Return approximate top-`k` neighbors: the exact ones in the lists that are read.

    Parameters
    ----------
    queries, database : float32 or float16 (Q, D) and (N, D)
        Unit rows.
    own : int32 (Q,)
        Each query's own database row, forced to rank 0 with similarity 1; -1 for a query that is none.
    index : InvertedFile
        The database rows by list.
    probing : Probing
        Which lists a query reads.
    k : int
        Neighbors per query.
    threads : int
        Blocks of queries that run at once. The result depends neither on it nor on how the queries are cut.

    Returns
    -------
    neighbor, similarity : int32 and float32 (Q, k)
        As of `exact_top_k`; -1 in both where the lists hold fewer than `k` rows.
    """
    none = np.full(len(queries), -1, np.int32)
    if index.codes is not None:
        load(len(queries), round(READ_SHARE * len(database)), database.shape[1])
    with unheard():
        first = min(probing.nearest, len(index.centroids))
        nearest, _ = exact_top_k(queries, none, index.centroids, first, threads, index.centroid_codes)
    # Queries of one list share neighbors, which stay in the cache.
    order = np.argsort(nearest[:, 0], kind="stable")

    def block(start: int) -> tuple[Int32, Float32]:
        rows = order[start : start + size]
        wide = np.ascontiguousarray(queries[rows], np.float32)
        one = _Block(wide, own[rows], nearest[rows], database, index, k)
        neighbor, similarity = one.first_pass()
        if probing.margin is not None:
            _merge(own[rows], neighbor, similarity, *one.second_pass(similarity[:, -1].copy(), probing.margin))
        return neighbor, similarity

    # As few rounds as the block size allows, and in each as many equal blocks as there are threads.
    rounds = -(-len(queries) // (QUERY_BLOCK * threads))
    size = -(-len(queries) // (rounds * threads))
    by_list = map_blocks(block, len(queries), size, threads)
    neighbor, similarity = np.empty_like(by_list[0]), np.empty_like(by_list[1])
    neighbor[order], similarity[order] = by_list
    return neighbor, similarity


@dataclass(frozen=True)
class _Block:
    """A block of queries, and what they read."""

    queries: Float32
    """(R, D)."""
    own: Int32
    """(R,)."""
    nearest: Int32
    """(R, P): the lists of the first pass."""
    database: Vectors
    """(N, D)."""
    index: InvertedFile
    k: int

    @cached_property
    def coded(self) -> Codes:
        """The codes of the queries."""
        return encode(self.queries)

    def first_pass(self) -> tuple[Int32, Float32]:
        """Return the best of the nearest lists; the query's own row takes rank 0."""
        visits = _visits_of(self.nearest, len(self.index.centroids))
        return self._scan(self.own, visits, lambda row: self.nearest[row])

    def second_pass(self, kth: Float32, margin: float) -> tuple[Int32, Float32]:
        """Return the best of the lists within the margin of the k-th best (R,) so far.

        Lists of the first pass are left out, so the two results share no row.
        """
        limits = second_limits(kth, margin)
        none = np.full(len(self.queries), -1, np.int32)
        visits = self._visits_within(limits)
        return self._scan(none, visits, lambda row: self._lists_within(row, limits[row]), kth)

    def _scan(
        self, own: Int32, visits: Visits, lists_of: Callable[[int], Ints], floor: Float32 | None = None
    ) -> tuple[Int32, Float32]:
        """Return the top-k (R, k) of the visited lists; `lists_of` are a crowded query's."""
        candidates = Candidates(self._scores(), self.k, floor)
        for number, rows in visits:
            members = self.index.rows_of(number)
            if len(members):
                candidates.push(self._products(number, rows), members, rows)
        neighbor, similarity, crowded = candidates.finish(self.queries, own, self.database)

        def candidates_of(row: int) -> Int32:
            return np.concatenate([self.index.rows_of(int(number)) for number in lists_of(row)])

        rank_crowded(self.queries, own, self.database, crowded, candidates_of, neighbor, similarity)
        return neighbor, similarity

    def _scores(self) -> Scores:
        """What the products of this block and a list mean."""
        if self.index.codes is None:
            return Scores.rounded(*self.queries.shape)
        return Scores.of_codes(self.coded.likely_slack(self.index.usual_error), self.coded.unit)

    def _products(self, number: int, rows: Int64) -> Float32 | Int32:
        """Return the products of some queries and a list's rows."""
        if self.index.codes is None:
            vectors = np.asarray(self.database[self.index.rows_of(number)], np.float32)
            return self.queries[rows] @ vectors.T
        return products(self.coded.rows[rows], self.index.codes_of(number))

    def _visits_within(self, limits: Float32) -> Visits:
        """Yield the lists whose centroid reaches the limit (R,) of queries, with these.

        Lists that a query has among the nearest are left out.
        """
        centroids, codes = self.index.centroids, self.index.centroid_codes
        if codes is None:
            band = np.float32(rounding_band(self.queries.shape[1]))
            low, high = limits - band, limits + band
        else:
            slack = self.coded.likely_slack(codes.usual_error)
            middle, dtype = limits.astype(np.float64) * self.coded.unit, Scores.of_codes(slack, self.coded.unit).dtype
            low, high = np.floor(middle - slack).astype(dtype), np.ceil(middle + slack).astype(dtype)
        rows = np.empty(len(self.queries), np.int64)
        for start in range(0, len(centroids), CENTROID_TILE):
            tile = slice(start, start + CENTROID_TILE)
            scores = centroids[tile] @ self.queries.T if codes is None else products(codes.rows[tile], self.coded.rows)
            for line in range(len(scores)):
                bounds, number = (low, high, limits), start + line
                count = _reached(scores[line], *bounds, self.queries, centroids[number], self.nearest, number, rows)
                if count:
                    yield number, rows[:count]

    def _lists_within(self, row: int, limit: float) -> Ints:
        """Return the lists of the second pass of one query, ascending."""
        scores = np.empty(len(self.index.centroids), np.float32)
        exact_similarities(self.queries[row], self.index.centroids, np.arange(len(scores)), scores)
        return np.setdiff1d(np.flatnonzero(scores >= limit), self.nearest[row])


def _visits_of(nearest: Int32, num_lists: int) -> Visits:
    """Yield the lists among `nearest` (R, P) in ascending order, with their queries."""
    by_list = np.argsort(nearest.ravel(), kind="stable")
    bounds = np.searchsorted(nearest.ravel()[by_list], np.arange(num_lists + 1))
    for number in np.flatnonzero(np.diff(bounds)):
        yield int(number), by_list[bounds[number] : bounds[number + 1]] // nearest.shape[1]


@numba.njit(nogil=True, cache=True)
def _any_reaches(scores, low):  # type: ignore[no-untyped-def]
    """Whether one of `_CHUNK` scores reaches its bound; its fixed length vectorizes."""
    reached = np.int32(0)
    for i in range(_CHUNK):
        reached |= np.int32(scores[i] >= low[i])
    return reached > 0


@numba.njit(nogil=True, cache=True)
def _reached(scores, low, high, limits, queries, centroid, nearest, number, out):  # type: ignore[no-untyped-def]
    """Write the queries that read a list in the second pass; return how many.

    Parameters
    ----------
    scores : float32 or int32 (R,)
        Inner products of the queries and the centroid, or of their codes.
    low, high : as the scores (R,)
        Scores below which no list is read, and from which each is.
    limits : float32 (R,)
        Similarity to a centroid from which each query reads its list.
    queries, centroid : float32 (R, D) and (D,)
        For scores between the bounds, which are computed again.
    nearest : int32 (R, P)
        Lists that each query has read.
    number : int
        The list.
    out : int64 (R,)
        Written.
    """
    count = 0
    for first in range(0, scores.shape[0], _CHUNK):
        last = min(first + _CHUNK, scores.shape[0])
        if last - first == _CHUNK and not _any_reaches(scores[first:last], low[first:last]):
            continue
        for row in range(first, last):
            if scores[row] < low[row]:
                continue
            # Near the limit the fixed float64 sum decides, so that no tile layout does.
            if scores[row] < high[row]:
                exact = min(np.float32(dot_float64(queries[row], centroid)), np.float32(1))
                if exact < limits[row]:
                    continue
            is_new = True
            for already in nearest[row]:
                is_new = is_new and already != number
            if is_new:
                out[count] = row
                count += 1
    return count


@numba.njit(nogil=True, cache=True)
def _merge(own, neighbor, similarity, more_neighbor, more_similarity):  # type: ignore[no-untyped-def]
    """Put the best of two canonical results (R, k) that share no row into the first."""
    for row in range(neighbor.shape[0]):
        one = np.sum(neighbor[row] >= 0)
        more = np.sum(more_neighbor[row] >= 0)
        if more > 0:
            ids = np.concatenate((neighbor[row, :one], more_neighbor[row, :more]))
            scores = np.concatenate((similarity[row, :one], more_similarity[row, :more]))
            canonical_order(ids, scores, own[row], neighbor[row], similarity[row])
