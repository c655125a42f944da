"""Inverted file (IVF): k-means centroids, and rows grouped by the nearest of them.

Every step is deterministic. Centroids start from a seeded sample of rows in canonical order. Sums are float64 in row order.
Rows are assigned by the exact top-K of `nearest`, whose result no tile or thread layout changes.

Shapes: N rows, S rows of the training sample, D dimensions, L lists.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numba
import numpy as np

from raycluster.arrays import Float32, Int8, Int32, Int64, Vectors
from raycluster.kernels.search.codes import Codes, encode
from raycluster.kernels.search.nearest import exact_top_k

ITERATIONS = 5
"""Rounds of k-means. The search measures its recall and reads more lists where centroids are worse, so that more rounds save
little reading for their time."""
_SMALLEST_NORM = 1e-12
"""Lower bound of a centroid's norm before it is made unit: a list whose rows cancel out keeps a centroid near 0."""


@dataclass(frozen=True)
class InvertedFile:
    """Database rows grouped by list."""

    centroids: Float32
    """(L, D), unit."""
    members: Int32
    """(N,): the rows of list c are members[offsets[c]:offsets[c + 1]], ascending."""
    offsets: Int64
    """(L + 1,)."""
    codes: Codes | None = None
    """Codes of the rows in the order of `members`; without them a search reads the rows themselves."""
    centroid_codes: Codes | None = None
    """(L, D): codes of the centroids, where the rows have some."""

    @classmethod
    def group(cls, centroids: Float32, lists: Int32) -> "InvertedFile":
        """Group rows by `lists` (N,), the list of each."""
        sizes = np.bincount(lists, minlength=len(centroids))
        members = np.argsort(lists, kind="stable").astype(np.int32)
        return cls(centroids, members, np.concatenate([[0], np.cumsum(sizes)]))

    def coded(self, vectors: Vectors, threads: int = 1) -> "InvertedFile":
        """Return this with codes of the rows (N, D), which a search reads in their place.

        They take D bytes per row.
        """
        codes = encode(vectors, self.members, threads)
        return replace(self, codes=codes, centroid_codes=encode(self.centroids))

    @property
    def sizes(self) -> Int64:
        """Rows of each list (L,)."""
        return np.diff(self.offsets)

    def rows_of(self, number: int) -> Int32:
        """Return the rows of one list, ascending."""
        return self.members[self.offsets[number] : self.offsets[number + 1]]

    @cached_property
    def usual_error(self) -> float:
        """The error that all codes but one in a thousand keep to."""
        assert self.codes is not None
        return self.codes.usual_error

    def codes_of(self, number: int) -> Int8:
        """Return the codes of one list's rows, in the order of `rows_of`."""
        assert self.codes is not None
        return self.codes.rows[self.offsets[number] : self.offsets[number + 1]]

    def list_of_rows(self) -> Int32:
        """Return the list (N,) of each row."""
        lists = np.empty(len(self.members), np.int32)
        lists[self.members] = np.repeat(np.arange(len(self.centroids), dtype=np.int32), self.sizes)
        return lists


def train_centroids(sample: Float32, lists: int, seed: int, threads: int = 1) -> Float32:
    """Return the centroids (lists, D) of spherical k-means, unit float32 rows.

    Parameters
    ----------
    sample : float32 (S, D)
        Unit rows, at least as many as lists.
    lists : int
        Number of centroids.
    seed : int
        Decides the rows that centroids start from.
    threads : int
        Threads of the assignments. The result does not depend on it.
    """
    start = np.sort(np.random.default_rng(seed).choice(len(sample), lists, replace=False))
    centroids = np.array(sample[start], np.float32)
    for _ in range(ITERATIONS):
        nearest, similarity = _nearest_list(sample, centroids, threads)
        sizes = np.bincount(nearest, minlength=lists)
        filled = np.flatnonzero(sizes)
        sums = _sums_of_lists(sample, nearest, lists)[filled]
        centroids[filled] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), _SMALLEST_NORM)
        # A list that has emptied starts again at a row far from its centroid; of equally far rows, the lowest.
        farthest = np.argsort(similarity, kind="stable")[: lists - len(filled)]
        centroids[np.flatnonzero(sizes == 0)] = sample[farthest]
    return centroids


@numba.njit(nogil=True, cache=True)
def _sums_of_lists(sample, nearest, lists):  # type: ignore[no-untyped-def]
    """Return the float64 sums (L, D) of the lists, added in the order of the rows."""
    sums = np.zeros((lists, sample.shape[1]), np.float64)
    for row in range(sample.shape[0]):
        line = sums[nearest[row]]
        for i in range(sample.shape[1]):
            line[i] += sample[row, i]
    return sums


def assign_lists(embeddings: Vectors, centroids: Float32, threads: int = 1) -> Int32:
    """Return the list (N,) of each row: its nearest centroid, ties to the lowest.

    Parameters
    ----------
    embeddings : float32 or float16 (N, D)
        Unit rows.
    centroids : float32 (L, D)
        Unit rows.
    threads : int
        The result does not depend on it.
    """
    return _nearest_list(embeddings, centroids, threads)[0]


def _nearest_list(embeddings: Vectors, centroids: Float32, threads: int) -> tuple[Int32, Float32]:
    """Return the nearest centroid (N,) of each row and its similarity (N,)."""
    none = np.full(len(embeddings), -1, np.int32)
    nearest, similarity = exact_top_k(embeddings, none, centroids, 1, threads)
    return nearest[:, 0], similarity[:, 0]
