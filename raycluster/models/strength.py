"""Strength: the probability that a row is of the majority identity of its cluster.

A row's evidence is the mean score of its pairs within its cluster, those below the edge limit included. What a mean of 0.6 is
worth depends on the set: on how high such pairs score everywhere in it, on how much of all score lies within clusters, and on
how many rows are alone. All come from sums of integers, so they depend neither on shards nor on the order of rows. A model
weighs them; `raycluster.training.fit_strength` fits its weights.

Shapes: N rows of the set, R rows of a block, M rows with features, K neighbors per row with the row itself at rank 0.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from raycluster.arrays import Float32, Float64, Int32, Int64
from raycluster.kernels import numba

FEATURES = ("row", "pairs", "inside", "alone")
"""Evidence of a row and, the last three, of its set. A model has a weight for each, and `intercept`."""
WEIGHTS = ("intercept", *FEATURES)
UNIT = 2**24
"""Integer steps that a score of 1 counts as: float32's own precision next to 1, so nothing is lost."""
NEAREST = 1e-3
"""Least distance of a mean score from 0 and 1 before its log odds are taken, which so stay within 6.9 of 0. Raising it makes
certain rows count as less certain."""
Block = tuple[int, Int32, Float32]
"""Number of the first row, then neighbors and scores (R, K) of some rows."""


@dataclass(frozen=True)
class Evidence:
    """Features that the strengths of a set's rows are computed from."""

    features: Float64
    """(N, 4) `FEATURES`. A row that is alone in its cluster has features without meaning."""
    alone: npt.NDArray[np.bool_]
    """(N,) rows that are the only one of their cluster."""

    @classmethod
    def of(cls, cluster: Int32, blocks: Iterable[Block]) -> "Evidence":
        """Gather the evidence from each row's cluster (N,), 0.., and blocks of all rows.

        A pair that both ends list counts once for each. A rank without a score, or without a neighbor, does not count.
        """
        rows = len(cluster)
        total, pairs = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        within, beyond = 0, 0
        for start, neighbor, score in blocks:
            inside, outside = gather(start, cluster, neighbor, score, total, pairs)
            within, beyond = within + int(inside), beyond + int(outside)
        alone = np.bincount(cluster)[cluster] == 1
        features = np.empty((rows, len(FEATURES)))
        features[:, 0] = _log_odds(total, pairs)
        features[:, 1] = _log_odds(total.sum(), pairs.sum())
        features[:, 2] = _log_odds(within, (within + beyond) / UNIT)
        features[:, 3] = np.count_nonzero(alone) / max(rows, 1)
        return cls(features, alone)

    def strength(self, weights: Mapping[str, float]) -> Float64:
        """Return the strength (N,) of every row, in 0..1.

        `weights` are those of a model's card. A row that is alone in its cluster has strength 1.
        """
        return np.where(self.alone, 1.0, probability(weights, self.features))


def _log_odds(steps: Int64 | int, count: Int64 | float) -> Float64:
    """Return log odds of a mean score or of a share; 0 where nothing was counted."""
    mean = np.where(np.asarray(count) > 0, steps / np.maximum(count, 1 / UNIT) / UNIT, 0.5)
    return np.asarray(logit(np.clip(mean, NEAREST, 1 - NEAREST)))


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


def probability(weights: Mapping[str, float], features: Float64) -> Float64:
    """Return the strength (M,), in 0..1, of rows with features (M, 4)."""
    value = np.full(len(features), weights["intercept"])
    for name, column in zip(FEATURES, features.T, strict=True):
        value += weights[name] * column
    return np.asarray(expit(value))
