"""How sure a row's place is: the probability that it is of the majority identity of its cluster, from learned scores.

A row's evidence is the mean score of its pairs within its cluster, those below the edge limit included. What a mean of 0.6 is
worth depends on the set: how high such pairs score everywhere in it, how much of all score lies within clusters, and how many
rows are alone. All come from sums of integers, so they depend neither on shards nor on the order of rows, and a model weighs
them (`raycluster.training.fit_strength` fits it).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from raycluster.arrays import Float32, Float64, Int32, Int64

FEATURES = ("row", "pairs", "inside", "alone")
"""Of a row and, the last three, of its set; a model has a weight for each, and `intercept`."""
WEIGHTS = ("intercept", *FEATURES)
UNIT = 2**24
"""A score counts as so many integer steps, which is float32's own precision next to 1."""
NEAREST = 1e-3
"""Means are kept so far from 0 and 1."""
Block = tuple[int, Int32, Float32]
"""First row, neighbors and scores (R, K) of some rows."""


@dataclass(frozen=True)
class Evidence:
    """What the scores of a set say of its clusters."""

    features: Float64
    """(N, 4) `FEATURES`; those of a row that is alone in its cluster mean nothing."""
    alone: npt.NDArray[np.bool_]
    """(N,) rows that are the only one of their cluster."""

    @classmethod
    def of(cls, cluster: Int32, blocks: Iterable[Block]) -> "Evidence":
        """From each row's cluster (N,), 0.., and the neighbors and scores of all rows, block by block.

        A pair that both ends list counts once for each; a rank without a score, or without a neighbor, not at all.
        """
        rows = len(cluster)
        total, pairs = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        within, beyond = 0, 0
        for start, neighbor, score in blocks:
            inside, outside = _gather(start, cluster, neighbor, score, total, pairs)
            within, beyond = within + int(inside), beyond + int(outside)
        alone = np.bincount(cluster)[cluster] == 1
        features = np.empty((rows, len(FEATURES)))
        features[:, 0] = _log_odds(total, pairs)
        features[:, 1] = _log_odds(total.sum(), pairs.sum())
        features[:, 2] = _log_odds(within, (within + beyond) / UNIT)
        features[:, 3] = np.count_nonzero(alone) / max(rows, 1)
        return cls(features, alone)

    def strength(self, weights: Mapping[str, float]) -> Float64:
        """The probability (N,) in 0..1 that each row is of the majority identity of its cluster; 1 for a row that is alone.

        `weights` are those of a model's card: one for each of `FEATURES`, and `intercept`.
        """
        return np.where(self.alone, 1.0, probability(weights, self.features))


def _log_odds(steps: Int64 | int, count: Int64 | float) -> Float64:
    """Log odds of a mean score, or share of scores; those of 1/2 where nothing was counted."""
    mean = np.where(np.asarray(count) > 0, steps / np.maximum(count, 1 / UNIT) / UNIT, 0.5)
    return np.asarray(logit(np.clip(mean, NEAREST, 1 - NEAREST)))


@numba.njit(nogil=True, cache=True)
def _gather(start, cluster, neighbor, score, total, pairs):  # type: ignore[no-untyped-def]
    """Add each scored pair within a cluster to both its rows; the sums of scores within and beyond clusters."""
    sums = np.zeros(2, np.int64)
    for local in range(neighbor.shape[0]):
        i = start + local
        for rank in range(1, neighbor.shape[1]):
            j = neighbor[local, rank]
            if j < 0 or np.isnan(score[local, rank]):
                continue
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
    """The probability (M,) in 0..1 that rows are of the majority identity of their cluster, from features (M, 4)."""
    value = np.full(len(features), weights["intercept"])
    for name, column in zip(FEATURES, features.T, strict=True):
        value += weights[name] * column
    return np.asarray(expit(value))
