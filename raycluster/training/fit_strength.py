"""Weights of strength: a logistic model of evidence, fitted on held-out rows.

A row of a held-out identity is right where that is the majority identity of its cluster (`metrics.majority`). Rows that are
alone in their cluster are right by definition and left out. Sets differ more than rows do. So the reliability of the card is
measured on sets that the fit has not seen, one fold at a time.

Shapes: M held-out rows that share a cluster, N rows of a set, K neighbors per row with the row itself at rank 0.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from raycluster.arrays import Float32, Float64
from raycluster.config.stages import Config
from raycluster.evaluation import metrics
from raycluster.evaluation.reliability import expected_calibration_error, reliability
from raycluster.evaluation.truth import UNKNOWN
from raycluster.executors.progress import Silence
from raycluster.kernels.neighborhoods.pair_sums import Limits, PairSums
from raycluster.models.calibration import Table
from raycluster.models.strength import FEATURES, WEIGHTS, Evidence, probability
from raycluster.pipeline.run import LOCAL, run_stages
from raycluster.stages.communities import identities_of
from raycluster.stages.edges import limits_of
from raycluster.storage.tables import Facts
from raycluster.training.calibrated_limits import scored_tables
from raycluster.training.labelled_set import LabelledSet

PENALTY = 1e-3
"""Weight of the squared weights of standardized features. Raising it draws the strengths of different sets together."""
FOLDS = 5
"""Folds of the sets: reliability is measured on a fifth of them at a time. With fewer sets it is that of the fitted rows."""
NARROWEST = 1e-9
"""Spread of a feature, as a share of its center, that is rounding: its weight is 0."""
Weights = dict[str, float]
Sample = tuple[Float64, Float64]
"""Features (M, 5), and whether each row is right (M,), in 0..1."""


def fit_strength(
    sets: Sequence[LabelledSet],
    scores: Sequence[Float32],
    config: Config,
    form: str,
    report: Callable[[str], None],
) -> tuple[Weights, Table, Facts]:
    """Fit the weights of strength on the clusters that a model makes of some sets.

    Parameters
    ----------
    sets
        The labelled sets.
    scores
        Their probabilities, float32 (N, K) each.
    config
        The recipe, with the model whose probabilities and limits are calibrated.
    form
        Form of the predictor. Only `relative` records the threshold of similarity that conflicts need.
    report
        Called with a line on how good they are.

    Returns
    -------
    tuple
        Weights by name, their reliability, and its metrics; all empty where no held-out row shares a cluster.
    """
    samples = [_sample(labelled, score, config, form) for labelled, score in zip(sets, scores, strict=True)]
    features, right = (np.concatenate(values) for values in zip(*samples, strict=True))
    if len(right) == 0:
        return {}, [], {}
    weights = fit(features, right)
    table = reliability(_unseen_probability(samples), right)
    error = expected_calibration_error(table)
    report(f"strength: {len(right):,} held-out rows, {right.mean():.3f} of them right, calibration error {error:.4f}")
    return weights, table, {"rows": len(right), "share_right": float(right.mean()), "calibration_error": error}


def fit(features: Float64, right: Float64) -> Weights:
    """Return the most likely weights for features (M, 5) and truths (M,), in 0..1.

    The squared weights bear a small penalty. The weight of `row` is at least 0: a higher mean score never lowers a strength.
    Targets are smoothed as in `models.calibration.platt`, so rows that are all right have a finite intercept.
    """
    assert len(features) == len(right) > 0, "one truth per row"
    center, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread <= NARROWEST * np.maximum(1.0, np.abs(center))] = np.inf
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
    optimum = minimize(loss, np.zeros(len(WEIGHTS)), jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = optimum[1:] / spread
    return dict(zip(WEIGHTS, [float(optimum[0] - weights @ center), *weights.tolist()], strict=True))


def _sample(labelled: LabelledSet, score: Float32, config: Config, form: str) -> Sample:
    """Return the held-out rows of a set that share a cluster in a run of the recipe."""
    tables = scored_tables(labelled, config, score, {})
    run_stages(tables, LOCAL, Silence(), until="rejoin")
    cluster = identities_of(tables)
    is_labelled = np.flatnonzero(labelled.identity != UNKNOWN)
    right, is_shared = metrics.majority(labelled.identity[is_labelled], cluster[is_labelled])
    used = is_shared & labelled.held_out[is_labelled]
    eta = limits_of(tables).eta
    limits = Limits(eta, labelled.statistics.limit) if form == "relative" and eta is not None else None
    sums = PairSums.of(cluster, [(0, labelled.neighbor, labelled.similarity, score)], limits)
    evidence = Evidence.of(cluster, sums)
    return evidence.features[is_labelled[used]], right[used]


def _unseen_probability(samples: Sequence[Sample]) -> Float64:
    """Return the probability of every row, set by set, fitted without its fold."""
    probabilities = []
    for number, (features, _) in enumerate(samples):
        fitted_on = [
            sample for other, sample in enumerate(samples) if len(samples) < FOLDS or other % FOLDS != number % FOLDS
        ]
        rows, right = (np.concatenate(values) for values in zip(*fitted_on, strict=True))
        probabilities.append(probability(fit(rows, right), features) if len(features) else np.empty(0))
    return np.concatenate(probabilities)
