"""Inverted file (IVF): k-means centroids, and the rows grouped by the nearest of them.

Every step is deterministic: centroids start from a seeded sample of rows in canonical order, sums are float64 in row
order, and every assignment goes through the exact top-K of `nearest`, whose result no tile or thread layout can change.
"""

from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Float32, Int32, Int64, Vectors
from raycluster.kernels.search.nearest import exact_top_k

ITERATIONS = 5


@dataclass(frozen=True)
class InvertedFile:
    """Database rows grouped by list: `members[offsets[c]:offsets[c + 1]]` are the rows of centroid `c`, ascending."""

    centroids: Float32
    members: Int32
    offsets: Int64

    @classmethod
    def group(cls, centroids: Float32, lists: Int32) -> "InvertedFile":
        """Group rows by `lists` (N,), the list of each database row."""
        sizes = np.bincount(lists, minlength=len(centroids))
        members = np.argsort(lists, kind="stable").astype(np.int32)
        return cls(centroids, members, np.concatenate([[0], np.cumsum(sizes)]))

    @property
    def sizes(self) -> Int64:
        """Rows of each list (lists,)."""
        return np.diff(self.offsets)

    def rows_of(self, number: int) -> Int32:
        """The rows of one list, ascending."""
        return self.members[self.offsets[number] : self.offsets[number + 1]]

    def list_of_rows(self) -> Int32:
        """The list (N,) of each row."""
        lists = np.empty(len(self.members), np.int32)
        lists[self.members] = np.repeat(np.arange(len(self.centroids), dtype=np.int32), self.sizes)
        return lists


def train_centroids(sample: Float32, lists: int, seed: int, threads: int = 1) -> Float32:
    """Spherical k-means: `lists` unit centroids (lists, D) float32 from unit rows `sample` (S, D), S >= lists.

    A list that empties is restarted at the sample row farthest from its centroid.
    """
    start = np.sort(np.random.default_rng(seed).choice(len(sample), lists, replace=False))
    centroids = np.array(sample[start], np.float32)
    for _ in range(ITERATIONS):
        nearest, similarity = _nearest_list(sample, centroids, threads)
        order = np.argsort(nearest, kind="stable")
        sizes = np.bincount(nearest, minlength=lists)
        filled = np.flatnonzero(sizes)
        starts = np.concatenate([[0], np.cumsum(sizes[filled])[:-1]])
        sums = np.add.reduceat(sample[order].astype(np.float64), starts, axis=0)
        centroids[filled] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        farthest = np.argsort(similarity, kind="stable")[: lists - len(filled)]
        centroids[np.flatnonzero(sizes == 0)] = sample[farthest]
    return centroids


def assign_lists(embeddings: Vectors, centroids: Float32, threads: int = 1) -> Int32:
    """The list (N,) of each row: its nearest centroid, ties to the lowest."""
    return _nearest_list(embeddings, centroids, threads)[0]


def _nearest_list(embeddings: Vectors, centroids: Float32, threads: int) -> tuple[Int32, Float32]:
    none = np.full(len(embeddings), -1, np.int32)
    nearest, similarity = exact_top_k(embeddings, none, centroids, 1, threads)
    return nearest[:, 0], similarity[:, 0]
