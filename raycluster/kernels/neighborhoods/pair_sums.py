"""What the listed pairs of rows add up to, within their clusters and beyond them.

A pair has a value, its score or its similarity. The mean value of a row's pairs within its cluster is evidence that it belongs
there. Its rival is the nearest other cluster among its neighbors, below the limit as well: a row whose edges all stay inside its
cluster has a rival, too. So rows can be ranked by how close that rival comes.

Shapes: N rows of the set, R rows of a block, K neighbors per row with the row itself at rank 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from raycluster.arrays import Float32, Float64, Int32, Int64
from raycluster.kernels import numba

FEWEST = 3
"""Neighbors that the mean over another cluster has at least; missing ones count 0. With 1, a single wrong score makes a rival of
a stranger, and sorting by the margin found half as many wrong rows on faces."""
UNIT = 2**24
"""Integer steps that a score of 1 counts as: float32's own precision next to 1, so nothing is lost."""
Block = tuple[int, Int32, Float32, Float32 | None]
"""Number of the first row, then neighbors, similarities and scores (R, K) of some rows. Scores are None where there are none."""


class Limits(NamedTuple):
    """Two limits of one pair: a set is easy where they agree."""

    score: float
    """Lowest score of an edge, 0..1."""
    similarity: float
    """Threshold that the far ranks suggest, -1..1."""


def both_limits(score: float | None, similarity: float | None) -> Limits | None:
    """Return the limits of score and of similarity where there are both."""
    return None if score is None or similarity is None else Limits(score, similarity)


@dataclass(frozen=True)
class PairSums:
    """Sums over the pairs of lists.

    All but `best` are integers, which add up to the same in any order.
    """

    total: Int64
    """(N,) sums of the values of each row's pairs within its cluster, in steps of 1 / `UNIT`."""
    pairs: Int64
    """(N,) the number of these pairs."""
    best: Float64
    """(N,) mean value of every row with its best other cluster (`best_others`)."""
    within: int
    """Sum of the values of all pairs within clusters, in the same steps."""
    beyond: int
    """Sum of the values of all other pairs."""
    conflicts: tuple[int, int]
    """Pairs that pass one of two limits only, and pairs that pass any; 0 where none were passed."""

    @classmethod
    def of(
        cls, cluster: Int32, blocks: Iterable[Block], limits: Limits | None = None, *, by_score: bool = True
    ) -> "PairSums":
        """Return the sums over the lists of all rows, which are read once.

        A pair that both ends list counts once for each. A rank without a neighbor does not count, nor does one without a
        value.

        Parameters
        ----------
        cluster : int32 (N,)
            Cluster of every row, from 0.
        blocks
            Blocks of all rows.
        limits : Limits, optional
            Those whose conflicts are counted. None counts no conflict.
        by_score : bool
            Whether scores are the values of pairs; else similarities are.
        """
        rows = len(cluster)
        total, pairs, best = np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.empty(rows)
        sums, conflicts = np.zeros(2, np.int64), np.zeros(2, np.int64)
        for start, neighbor, similarity, score in blocks:
            value = score if by_score else similarity
            assert value is not None, "pairs without scores have similarities as values"
            sums += gather(start, cluster, neighbor, value, total, pairs)
            best[start : start + len(neighbor)] = best_others(start, cluster, neighbor, value)
            if limits is not None:
                passing = np.float32(limits.score), np.float32(limits.similarity)
                conflicts += count_conflicts(neighbor, score, similarity, *passing)
        return cls(total, pairs, best, int(sums[0]), int(sums[1]), (int(conflicts[0]), int(conflicts[1])))

    def margins(self, least: float) -> Float64:
        """Return the margin (N,) of every row in its cluster.

        It is the mean value of the row's pairs there, less the greater of its rival's and `least`, the limit of values in -1..1.
        """
        # a row beside nothing but its copies has no pairs
        own = np.where(self.pairs > 0, self.total / UNIT / np.maximum(self.pairs, 1), 1.0)
        return np.asarray(own - np.maximum(self.best, least))


def best_others(start: int, cluster: Int32, neighbor: Int32, value: Float32) -> Float64:
    """Return the mean value (R,) of every row with its best other cluster.

    It is 0 where the list names no other cluster.

    Parameters
    ----------
    start
        Number of the block's first row.
    cluster : int32 (N,)
        Cluster of every row, from 0.
    neighbor : int32 (R, K)
        Neighbors, -1 where a list is short.
    value : float32 (R, K)
        Learned scores in 0..1, or similarities. NaN does not count, and neither does a value below 0.
    """
    best = np.zeros(len(neighbor))
    _best_others(start, cluster, neighbor, value, best)
    return best


@numba.njit(nogil=True, cache=True)
def _best_others(start, cluster, neighbor, value, best):  # type: ignore[no-untyped-def]
    """Fill `best` (R,).

    Values are added in the order of ranks, so that sums do not depend on shards.
    """
    k = neighbor.shape[1]
    names, counts, sums = np.empty(k, np.int64), np.empty(k, np.int64), np.empty(k)
    for local in range(len(neighbor)):
        # the row's clusters, in the order in which its list names them
        num, own = 0, cluster[start + local]
        for rank in range(1, k):
            j = neighbor[local, rank]
            if j < 0 or cluster[j] == own or not value[local, rank] > 0:
                continue
            place = 0
            while place < num and names[place] != cluster[j]:
                place += 1
            if place == num:
                names[place], counts[place], sums[place] = cluster[j], 0, 0.0
                num += 1
            counts[place] += 1
            sums[place] += value[local, rank]
        for place in range(num):
            best[local] = max(best[local], sums[place] / max(counts[place], FEWEST))


@numba.njit(nogil=True, cache=True)
def gather(start, cluster, neighbor, score, total, pairs):  # type: ignore[no-untyped-def]
    """Add every scored pair within a cluster to its two rows.

    `total` and `pairs` (N,) are the sums and counts per row, in steps of 1 / `UNIT`; the result is int64 (2,), the sum of the
    scores of pairs within clusters and beyond them.

    Parameters
    ----------
    start
        Row of the first list.
    cluster : int32 (N,)
        Cluster of every row.
    neighbor, score : int32, float32 (R, K)
        Lists of the rows from `start` on, the row itself first; -1 and NaN are left out.
    total, pairs : int64 (N,)
        Added to: the sum of scores in steps of 1 / `UNIT`, and their number.
    """
    sums = np.zeros(2, np.int64)
    for local in range(neighbor.shape[0]):
        i = start + local
        for rank in range(1, neighbor.shape[1]):  # rank 0 is the row itself
            j = neighbor[local, rank]
            if j < 0 or np.isnan(score[local, rank]):
                continue
            # rounded to integer steps first: integer sums are the same in any order
            steps = np.int64(np.float64(score[local, rank]) * UNIT + 0.5)
            inside = cluster[i] == cluster[j]
            sums[0 if inside else 1] += steps
            if inside:
                total[i] += steps
                total[j] += steps
                pairs[i] += 1
                pairs[j] += 1
    return sums


@numba.njit(nogil=True, cache=True)
def count_conflicts(neighbor, score, similarity, least_score, least_similarity):  # type: ignore[no-untyped-def]
    """Count pairs that pass one of two limits only, and those that pass any.

    The result is int64 (2,).

    Parameters
    ----------
    neighbor, score, similarity : int32, float32, float32 (R, K)
        Lists of some rows, the row itself first. -1 is left out, and a score of NaN passes no limit.
    least_score, least_similarity : float32
        The limits.
    """
    counts = np.zeros(2, np.int64)
    for local in range(neighbor.shape[0]):
        for rank in range(1, neighbor.shape[1]):  # rank 0 is the row itself
            if neighbor[local, rank] < 0:
                continue
            is_near, is_alike = similarity[local, rank] >= least_similarity, score[local, rank] >= least_score
            counts[0] += is_near != is_alike
            counts[1] += is_near or is_alike
    return counts
