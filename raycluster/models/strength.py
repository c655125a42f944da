"""Strength: the probability that a row is of the majority identity of its cluster.

A row's evidence is the mean score of its pairs within its cluster, those below the edge limit included. What a mean of 0.6 is
worth depends on the set: on how high such pairs score everywhere in it, and on how much of all score lies within clusters. It
also depends on how many rows are alone, and on how often the limits of score and of similarity disagree.

All come from sums of integers (`pair_sums`), so they depend neither on shards nor on the order of rows. A model weighs them;
`raycluster.training.fit_strength` fits its weights.

Shapes: N rows of the set, M rows with features.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from raycluster.arrays import Float64, Int32, Int64
from raycluster.kernels.neighborhoods.pair_sums import UNIT, PairSums

FEATURES = ("row", "pairs", "inside", "alone", "conflicts")
"""Evidence of a row and, all but the first, of its set. A model has a weight for each, and `intercept`."""
WEIGHTS = ("intercept", *FEATURES)
EARLIER_WEIGHTS = WEIGHTS[:5]
"""Weights of models from before 2026-11-28: what they lack weighs nothing."""
NEAREST = 1e-3
"""Least distance of a mean score from 0 and 1 before its log odds are taken, which so stay within 6.9 of 0. Raising it makes
certain rows count as less certain."""
FEW_CONFLICTS = 0.12
"""Share of conflicts below which fewer promise no more: it is up to 0.17 where labels are right. With 0.003 calibration errors of
27 sets that the health check does not flag rise by 0.003 on the mean."""
MOST = 0.997
"""Share that larger ones count as, so that log odds are finite. The highest share of 80 sets was 0.99."""


@dataclass(frozen=True)
class Evidence:
    """Features that the strengths of a set's rows are computed from."""

    features: Float64
    """(N, 5) `FEATURES`. A row that is alone in its cluster has features without meaning."""
    alone: npt.NDArray[np.bool_]
    """(N,) rows that are the only one of their cluster."""

    @classmethod
    def of(cls, cluster: Int32, sums: PairSums) -> "Evidence":
        """Return the evidence of all rows from sums of their scored pairs.

        `cluster` (N,) has the clusters that the sums are of.
        """
        alone = np.bincount(cluster)[cluster] == 1
        features = np.empty((len(cluster), len(FEATURES)))
        features[:, 0] = _log_odds(sums.total, sums.pairs)
        features[:, 1] = _log_odds(sums.total.sum(), sums.pairs.sum())
        features[:, 2] = _log_odds(sums.within, (sums.within + sums.beyond) / UNIT)
        features[:, 3] = np.count_nonzero(alone) / max(len(cluster), 1)
        features[:, 4] = _log_odds_of_conflicts(*sums.conflicts)
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


def _log_odds_of_conflicts(count: int, total: int) -> float:
    """Return log odds of the share of conflicts, `FEW_CONFLICTS` at least."""
    return float(logit(np.clip(count / max(total, 1), FEW_CONFLICTS, MOST)))


def probability(weights: Mapping[str, float], features: Float64) -> Float64:
    """Return the strength (M,), in 0..1, of rows with features (M, 5).

    A weight that is missing is 0.
    """
    value = np.full(len(features), weights["intercept"])
    for name, column in zip(FEATURES, features.T, strict=True):
        value += weights.get(name, 0.0) * column
    return np.asarray(expit(value))
