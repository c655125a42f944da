"""Recall of an approximate search: measured against exact rows, and promised by choosing how much to read.

Recall@K is the share of a row's K - 1 neighbors (the row itself, rank 0, does not count) that are as similar to it as its
exact K-th: with ties, any of the equally similar counts.
"""

import math
from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Float32, Int32, Int64, Vectors
from raycluster.kernels.search.inverted_file import InvertedFile
from raycluster.kernels.search.list_search import Probing, list_top_k, second_limits
from raycluster.kernels.search.nearest import exact_similarities, exact_top_k

SHARE_BLOCK = 256
CONFIDENCE = 3.0
"""Standard errors by which the sample has to exceed a target, so that another sample of the size hardly ever misses it."""


def sample_rows(rows: int, size: int, seed: tuple[int, ...]) -> Int32:
    """At most `size` of `rows` rows, ascending, drawn without replacement."""
    drawn = np.random.default_rng(seed).choice(rows, min(rows, size), replace=False)
    return np.sort(drawn).astype(np.int32)


def found_neighbors(neighbor: Int32, similarity: Float32, exact_similarity: Float32) -> Int64:
    """How many of its K - 1 neighbors each row has found (R,), from arrays (R, K) with the row itself at rank 0."""
    found = (neighbor[:, 1:] >= 0) & (similarity[:, 1:] >= exact_similarity[:, -1:])
    return found.sum(axis=1, dtype=np.int64)


@dataclass(frozen=True)
class Recall:
    """An estimate from a sample of rows; sums of integers, so that parts add up to the same in any order."""

    k: int
    rows: int = 0
    found: int = 0
    """Neighbors found, summed over the rows."""
    squares: int = 0
    """Its square, summed over the rows."""

    @classmethod
    def of(cls, found: Int64, k: int) -> "Recall":
        """From the neighbors found of each row, as `found_neighbors` counts them."""
        return cls(k, len(found), int(found.sum()), int((found * found).sum()))

    def __add__(self, other: "Recall") -> "Recall":
        """The estimate of two samples together."""
        assert self.k == other.k
        return Recall(self.k, self.rows + other.rows, self.found + other.found, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """Estimated recall, 0..1."""
        return self.found / (self.rows * (self.k - 1))

    @property
    def error(self) -> float:
        """Standard error of the mean: rows are independent, the neighbors of one row are not."""
        variance = max(0.0, self.squares / self.rows - (self.found / self.rows) ** 2)
        return math.sqrt(variance / self.rows) / (self.k - 1)


def measure(rows: Int32, neighbor: Int32, similarity: Float32, vectors: Vectors, threads: int = 1) -> Recall:
    """Recall of the lists found for `rows` (R,) of `vectors`, given as (R, K), by searching them exactly."""
    k = neighbor.shape[1]
    if len(rows) == 0:
        return Recall(k)
    _, exact = exact_top_k(vectors[rows], rows, vectors, k, threads)
    return Recall.of(found_neighbors(neighbor, similarity, exact), k)


@dataclass(frozen=True)
class Choice:
    """What to read for a target recall."""

    probing: Probing
    expected: Recall
    """Recall on the sample that it was chosen on."""
    share: float
    """Share of all rows that a query reads."""


def choose_probing(
    vectors: Vectors, rows: Int32, index: InvertedFile, nearest: int, k: int, target: float, threads: int = 1
) -> Choice:
    """The narrowest second pass after `nearest` lists whose recall on `rows` (R,) exceeds `target` (0..1) significantly.

    Raising `target` reads more; a larger sample gets closer to it. Where the target asks for all of the sample's
    neighbors, what their farthest list needs is read.
    """
    neighbor, _ = exact_top_k(vectors[rows], rows, vectors, k, threads)
    queries = np.asarray(vectors[rows], np.float32)
    first, similarity = list_top_k(queries, rows, vectors, index, Probing(nearest), k, threads)
    kth = similarity[:, -1]
    needed = np.full((len(rows), k - 1), np.inf)
    lists = index.list_of_rows()[neighbor[:, 1:]]
    to_centroid = np.empty(k - 1, np.float32)
    for line in range(len(rows)):
        missed = ~np.isin(neighbor[line, 1:], first[line])
        exact_similarities(queries[line], index.centroids, lists[line], to_centroid)
        needed[line, missed] = to_centroid[missed].astype(np.float64) - kth[line]
    margins = np.unique(needed)[::-1]  # from none (infinite) to what the farthest list needs
    recalls = [Recall(k)] * len(margins)
    low, high = 0, len(margins) - 1
    while low <= high:
        middle = (low + high) // 2
        recalls[middle] = Recall.of((needed >= margins[middle]).sum(axis=1), k)
        if recalls[middle].mean - CONFIDENCE * recalls[middle].error >= target:
            high = middle - 1
        else:
            low = middle + 1
    margin = None if np.isinf(margins[low]) else float(margins[low])
    probing = Probing(nearest, margin)
    return Choice(probing, recalls[low], _share(queries, kth, index, probing))


def _share(queries: Float32, kth: Float32, index: InvertedFile, probing: Probing) -> float:
    """Share of all rows that the queries (R, D) read on average."""
    at = max(0, len(index.centroids) - probing.nearest)
    read = 0
    for start in range(0, len(queries), SHARE_BLOCK):
        scores = queries[start : start + SHARE_BLOCK] @ index.centroids.T
        limits = np.partition(scores, at, axis=1)[:, at]
        if probing.margin is not None:
            limits = np.minimum(limits, second_limits(kth[start : start + SHARE_BLOCK], probing.margin))
        read += int(((scores >= limits[:, None]) @ index.sizes).sum())
    return read / (len(queries) * len(index.members))
