"""What makes a row's strength a probability: a logistic model of its evidence, fitted on held-out identities.

A row of a held-out identity is right where that is the majority identity of its cluster (`metrics.majority`); rows that are
alone in their cluster are right by definition and left out. Sets differ more than rows do, so the reliability that the card
tells is that of sets which the fit has not seen, a fifth at a time.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from raycluster.arrays import Float32, Float64
from raycluster.config.stages import Config
from raycluster.evaluation import metrics
from raycluster.evaluation.reliability import expected_calibration_error, reliability
from raycluster.evaluation.truth import UNKNOWN
from raycluster.limits.in_force import decide_limits
from raycluster.models.strength import FEATURES, WEIGHTS, Evidence, probability
from raycluster.stages.rejoin import identities_of
from raycluster.training.calibrated_limits import Curve, clustered
from raycluster.training.labelled_set import LabelledSet

PENALTY = 1e-3
"""On the squared weights of standardized features; more of it trusts what tells sets apart less."""
PARTS = 5
Weights = dict[str, float]


def of_clusters(
    sets: Sequence[LabelledSet],
    scores: Sequence[Float32],
    config: Config,
    thresholds: dict[str, float],
    say: Callable[[str], None],
) -> tuple[Weights, Curve, dict[str, Any]]:
    """Return weights of `models.strength`, their reliability on sets left out of the fit, and its metrics.

    `scores` are the sets' probabilities, and `thresholds` the limits that were chosen for them. With fewer than `PARTS` sets
    the reliability is that of the rows fitted on. No weights where no held-out row shares a cluster.
    """
    told = [_evidence(part, score, config, thresholds) for part, score in zip(sets, scores, strict=True)]
    features, right = (np.concatenate(each) for each in zip(*told, strict=True))
    if len(right) == 0:
        return {}, [], {}
    weights = fit(features, right)
    table = reliability(_unseen(told), right)
    error = expected_calibration_error(table)
    say(f"strength: {len(right):,} held-out rows, {right.mean():.3f} of them right, calibration error {error:.4f}")
    return weights, table, {"rows": len(right), "share_right": float(right.mean()), "calibration_error": error}


def fit(features: Float64, right: Float64) -> Weights:
    """The most likely weights for features (M, 4) and whether each row is right (M,), 0..1, under a small penalty.

    The weight of `row` is 0 or more: a higher mean score never makes a row less sure. Targets are smoothed as in
    `models.calibration.platt`, so rows that are all right have a finite intercept.
    """
    assert len(features) == len(right) > 0, "a row and its truth"
    center, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread <= 1e-9 * np.maximum(1.0, np.abs(center))] = np.inf  # tells nothing: its weight is 0
    x = (features - center) / spread
    true = right.sum()
    high, low = (true + 1) / (true + 2), 1 / (len(right) - true + 2)
    target = low + (high - low) * right

    def loss(at: Float64) -> tuple[float, Float64]:
        z = at[0] + x @ at[1:]
        excess = (expit(z) - target) / len(z)
        value = (np.logaddexp(0, z) - target * z).mean() + PENALTY / 2 * (at[1:] ** 2).sum()
        return float(value), np.concatenate([[excess.sum()], x.T @ excess + PENALTY * at[1:]])

    bounds = [(None, None), (0, None), *[(None, None)] * (len(FEATURES) - 1)]
    found = minimize(loss, np.zeros(len(WEIGHTS)), jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = found[1:] / spread
    return dict(zip(WEIGHTS, [float(found[0] - weights @ center), *weights.tolist()], strict=True))


def _evidence(
    part: LabelledSet, score: Float32, config: Config, thresholds: dict[str, float]
) -> tuple[Float64, Float64]:
    """Return features (M, 4) of a set's held-out rows that share a cluster, and whether they are right (M,)."""
    limits = decide_limits(config, part.neighbor, part.similarity, part.vectors, thresholds, score)
    cluster = identities_of(clustered(part, config, limits, score, until="rejoin"))
    labelled = np.flatnonzero(part.identity != UNKNOWN)
    right, shared = metrics.majority(part.identity[labelled], cluster[labelled])
    used = shared & part.held_out[labelled]
    return Evidence.of(cluster, [(0, part.neighbor, score)]).features[labelled[used]], right[used]


def _unseen(told: list[tuple[Float64, Float64]]) -> Float64:
    """Probability of each row, sets in turn, by weights fitted without its part of the sets; with all where there are few."""
    found = []
    for number, (features, _) in enumerate(told):
        seen = [each for other, each in enumerate(told) if len(told) < PARTS or other % PARTS != number % PARTS]
        rows, right = (np.concatenate(each) for each in zip(*seen, strict=True))
        found.append(probability(fit(rows, right), features) if len(features) else np.empty(0))
    return np.concatenate(found)
