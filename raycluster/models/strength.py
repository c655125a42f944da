"""Strength: the probability that a row is of the majority identity of its cluster.

A row's evidence is the mean score of its pairs within its cluster, those below the edge limit included. What a mean of 0.6 is
worth depends on the set: on how high such pairs score everywhere in it, and on how much of all score lies within clusters. It
also depends on how many rows are alone, and on how often the limits of score and of similarity disagree.

All come from sums of integers, so
they depend neither on shards nor on the order of rows. A model weighs them; `raycluster.training.fit_strength` fits its weights.

Shapes: N rows of the set, R rows of a block, M rows with features, K neighbors per row with the row itself at rank 0.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from raycluster.arrays import Float32, Float64, Int32, Int64
from raycluster.kernels import numba
from raycluster.kernels.neighborhoods.margins import best_others
from raycluster.models.set_statistics import SetStatistics

FEATURES = ("row", "pairs", "inside", "alone", "conflicts")
"""Evidence of a row and, all but the first, of its set. A model has a weight for each, and `intercept`."""
WEIGHTS = ("intercept", *FEATURES)
EARLIER_WEIGHTS = WEIGHTS[:5]
"""Weights of models from before 2026-11-28: what they lack weighs nothing."""
UNIT = 2**24
"""Integer steps that a score of 1 counts as: float32's own precision next to 1, so nothing is lost."""
NEAREST = 1e-3
"""Least distance of a mean score from 0 and 1 before its log odds are taken, which so stay within 6.9 of 0. Raising it makes
certain rows count as less certain."""
FEW_CONFLICTS = 0.12
"""Share of conflicts below which fewer promise no more: it is up to 0.17 where labels are right. With 0.003 calibration errors of
27 sets that the health check does not flag rise by 0.003 on the mean."""
MOST = 0.997
"""Share that larger ones count as, so that log odds are finite. The highest share of 80 sets was 0.99."""
Block = tuple[int, Int32, Float32, Float32]
"""Number of the first row, then neighbors, scores and similarities (R, K) of some rows."""


Valued = tuple[int, Int32, Float32]
"""Number of the first row, then neighbors and values (R, K) of some rows: scores, or similarities."""


class Limits(NamedTuple):
    """Two limits of one pair: a set is easy where they agree."""

    score: float
    """Lowest score of an edge, 0..1."""
    similarity: float
    """Threshold that the far ranks suggest, -1..1."""


@dataclass(frozen=True)
class Evidence:
    """Features that the strengths of a set's rows are computed from."""

    features: Float64
    """(N, 5) `FEATURES`. A row that is alone in its cluster has features without meaning."""
    alone: npt.NDArray[np.bool_]
    """(N,) rows that are the only one of their cluster."""

    @classmethod
    def of(cls, cluster: Int32, blocks: Iterable[Block], limits: Limits | None = None) -> "Evidence":
        """Gather the evidence of all rows.

        A pair that both ends list counts once for each. A rank without a neighbor does not count, nor does one without a
        score in a mean.

        Parameters
        ----------
        cluster : int32 (N,)
            Cluster of every row, from 0.
        blocks
            Blocks of all rows.
        limits : Limits, optional
            Those whose conflicts count. None counts no conflict.
        """
        rows = len(cluster)
        total, pairs = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        within, beyond, conflicts = 0, 0, np.zeros(2, np.int64)
        for start, neighbor, score, similarity in blocks:
            inside, outside = gather(start, cluster, neighbor, score, total, pairs)
            within, beyond = within + int(inside), beyond + int(outside)
            if limits is not None:
                passing = np.float32(limits.score), np.float32(limits.similarity)
                conflicts += count_conflicts(neighbor, score, similarity, *passing)
        alone = np.bincount(cluster)[cluster] == 1
        features = np.empty((rows, len(FEATURES)))
        features[:, 0] = _log_odds(total, pairs)
        features[:, 1] = _log_odds(total.sum(), pairs.sum())
        features[:, 2] = _log_odds(within, (within + beyond) / UNIT)
        features[:, 3] = np.count_nonzero(alone) / max(rows, 1)
        features[:, 4] = _log_odds_of_conflicts(conflicts[0], conflicts[1])
        return cls(features, alone)

    def strength(self, weights: Mapping[str, float]) -> Float64:
        """Return the strength (N,) of every row, in 0..1.

        `weights` are those of a model's card. A row that is alone in its cluster has strength 1.
        """
        return np.where(self.alone, 1.0, probability(weights, self.features))


def calibrated_strength(
    weights: Mapping[str, float],
    cluster: Int32,
    blocks: Iterable[Block],
    set_facts: Mapping[str, Any],
    eta: float | None,
) -> Float64:
    """Return strengths (N,), in 0..1, by a model that was calibrated for it.

    Parameters
    ----------
    weights
        Those of the model's card.
    cluster : int32 (N,)
        Cluster of every row, from 0.
    blocks
        Blocks of all rows.
    set_facts
        What the predictor read of the whole set, as `relations` records it.
    eta : float or None
        Lowest score of an edge, 0..1; None for rules that have none. Then no conflict counts.
    """
    limits = None
    if eta is not None and "statistics" in set_facts:
        limits = Limits(eta, SetStatistics.from_json(set_facts["statistics"]).limit)
    return Evidence.of(cluster, blocks, limits).strength(weights)


def margins(cluster: Int32, blocks: Iterable[Valued], least: float) -> Float64:
    """Return the margin (N,) of every row in its cluster.

    Means over pairs of both ends do not depend on shards.

    Parameters
    ----------
    cluster : int32 (N,)
        Cluster of every row, from 0.
    blocks
        Lists of all rows.
    least : float
        Limit of the values, -1..1: the margin is at most the mean value less this limit.
    """
    rows = len(cluster)
    total, pairs, best = np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.empty(rows)
    for start, neighbor, value in blocks:
        gather(start, cluster, neighbor, value, total, pairs)
        best[start : start + len(neighbor)] = best_others(start, cluster, neighbor, value)
    own = np.where(pairs > 0, total / UNIT / np.maximum(pairs, 1), 1.0)  # a row beside nothing but its copies
    return own - np.maximum(best, least)


def _log_odds(steps: Int64 | int, count: Int64 | float) -> Float64:
    """Return log odds of a mean score or of a share; 0 where nothing was counted."""
    mean = np.where(np.asarray(count) > 0, steps / np.maximum(count, 1 / UNIT) / UNIT, 0.5)
    return np.asarray(logit(np.clip(mean, NEAREST, 1 - NEAREST)))


def _log_odds_of_conflicts(count: int, total: int) -> float:
    """Return log odds of the share of conflicts, `FEW_CONFLICTS` at least."""
    return float(logit(np.clip(count / max(total, 1), FEW_CONFLICTS, MOST)))


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


def probability(weights: Mapping[str, float], features: Float64) -> Float64:
    """Return the strength (M,), in 0..1, of rows with features (M, 5).

    A weight that is missing is 0.
    """
    value = np.full(len(features), weights["intercept"])
    for name, column in zip(FEATURES, features.T, strict=True):
        value += weights.get(name, 0.0) * column
    return np.asarray(expit(value))
