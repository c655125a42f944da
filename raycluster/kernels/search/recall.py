"""Recall of an approximate search: measured, and promised by what is read.

Recall@K is the share of a row's K - 1 neighbors that are as similar to it as its exact K-th. The row itself, rank 0, does not
count. With ties, any of the equally similar counts.

Shapes: N rows in all, R rows of a sample, D dimensions, L lists, K neighbors per row with the row itself at rank 0.
"""

import math
from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Float32, Float64, Int32, Int64, Vectors
from raycluster.kernels.advance import unheard
from raycluster.kernels.search.codes import Codes
from raycluster.kernels.search.inverted_file import InvertedFile
from raycluster.kernels.search.list_search import Probing, list_top_k, second_limits
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.kernels.search.ordering import exact_similarities

SHARE_BLOCK = 256
"""Queries that are compared with all centroids at once. Results do not depend on it."""
CONFIDENCE = 3.0
"""Standard errors by which a sample must exceed the target, so that another sample of the same size hardly ever misses it.
Raising it reads more lists."""


def sample_rows(rows: int, size: int, seed: tuple[int, ...]) -> Int32:
    """Return rows drawn without replacement, ascending.

    Parameters
    ----------
    rows : int
        Rows to draw from.
    size : int
        Rows to draw, at most.
    seed : tuple of int
        Seed of the generator.
    """
    drawn = np.random.default_rng(seed).choice(rows, min(rows, size), replace=False)
    return np.sort(drawn).astype(np.int32)


def found_neighbors(neighbor: Int32, similarity: Float32, exact_similarity: Float32) -> Int64:
    """Count the K - 1 neighbors of each row (R,) that a search has found.

    Parameters
    ----------
    neighbor, similarity : int32 and float32 (R, K)
        Result of the search, the row itself at rank 0.
    exact_similarity : float32 (R, K)
        Similarities of the exact neighbors, descending.
    """
    is_found = (neighbor[:, 1:] >= 0) & (similarity[:, 1:] >= exact_similarity[:, -1:])
    return is_found.sum(axis=1, dtype=np.int64)


@dataclass(frozen=True)
class Recall:
    """An estimate from a sample of rows, as sums of integers, exact in any order."""

    k: int
    rows: int = 0
    num_found: int = 0
    """Neighbors found, summed over the rows."""
    squares: int = 0
    """Squares of the neighbors found, summed over the rows."""

    @classmethod
    def of(cls, num_found: Int64, k: int) -> "Recall":
        """Return the estimate of rows (R,) by `found_neighbors`."""
        return cls(k, len(num_found), int(num_found.sum()), int((num_found * num_found).sum()))

    def __add__(self, other: "Recall") -> "Recall":
        """Return the estimate of two samples together."""
        assert self.k == other.k
        return Recall(self.k, self.rows + other.rows, self.num_found + other.num_found, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """Estimated recall, 0..1."""
        return self.num_found / (self.rows * (self.k - 1))

    @property
    def error(self) -> float:
        """Standard error of the mean. Rows are independent, the neighbors of one are not."""
        variance = max(0.0, self.squares / self.rows - (self.num_found / self.rows) ** 2)
        return math.sqrt(variance / self.rows) / (self.k - 1)


def measure(
    rows: Int32, neighbor: Int32, similarity: Float32, vectors: Vectors, threads: int = 1, codes: Codes | None = None
) -> Recall:
    """Return the recall of the neighbors found for some rows, by an exact search.

    Parameters
    ----------
    rows : int32 (R,)
        The rows.
    neighbor, similarity : int32 and float32 (R, K)
        What was found for them.
    vectors : float32 or float16 (N, D)
        Unit rows.
    threads : int
        The result does not depend on it.
    codes : Codes, optional
        Those of the rows. The result does not depend on them.
    """
    k = neighbor.shape[1]
    if len(rows) == 0:
        return Recall(k)
    with unheard():
        _, exact = exact_top_k(vectors[rows], rows, vectors, k, threads, codes)
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
    """Return the narrowest second pass whose recall exceeds a target significantly.

    A target that only all of the sample's neighbors reach takes the margin of the farthest.

    Parameters
    ----------
    vectors : float32 or float16 (N, D)
        Unit rows.
    rows : int32 (R,)
        The sample. A larger one gets closer to the target.
    index : InvertedFile
        All rows by list.
    nearest : int
        Lists of the first pass.
    k : int
        Neighbors per row.
    target : float
        Recall, 0..1. Raising it reads more.
    threads : int
        The result does not depend on it.
    """
    queries = np.asarray(vectors[rows], np.float32)
    kth, needed = _needed_margins(vectors, queries, rows, index, nearest, k, threads)
    # Recall falls as the margin rises, from the lowest that any missed neighbor needs to none (infinite): bisection.
    margins = np.unique(needed)[::-1]
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


def _needed_margins(
    vectors: Vectors, queries: Float32, rows: Int32, index: InvertedFile, nearest: int, k: int, threads: int
) -> tuple[Float32, Float64]:
    """Return the first pass's k-th best (R,), and each neighbor's margin (R, k - 1).

    Infinite: the first pass has found it.
    """
    neighbor, _ = exact_top_k(vectors[rows], rows, vectors, k, threads, index.codes)
    first, similarity = list_top_k(queries, rows, vectors, index, Probing(nearest), k, threads)
    kth = similarity[:, -1]
    needed = np.full((len(rows), k - 1), np.inf)
    lists = index.list_of_rows()[neighbor[:, 1:]]
    to_centroid = np.empty(k - 1, np.float32)
    for line in range(len(rows)):
        missed = ~np.isin(neighbor[line, 1:], first[line])
        exact_similarities(queries[line], index.centroids, lists[line], to_centroid)
        needed[line, missed] = to_centroid[missed].astype(np.float64) - kth[line]
    return kth, needed


def _share(queries: Float32, kth: Float32, index: InvertedFile, probing: Probing) -> float:
    """Return the share of all rows that the queries (R, D) read on average."""
    at = max(0, len(index.centroids) - probing.nearest)
    read = 0
    for start in range(0, len(queries), SHARE_BLOCK):
        scores = queries[start : start + SHARE_BLOCK] @ index.centroids.T
        # A query reads what reaches its last list of the first pass or the limit of the second, whichever is lower.
        limits = np.partition(scores, at, axis=1)[:, at]
        if probing.margin is not None:
            limits = np.minimum(limits, second_limits(kth[start : start + SHARE_BLOCK], probing.margin))
        read += int(((scores >= limits[:, None]) @ index.sizes).sum())
    return read / (len(queries) * len(index.members))
