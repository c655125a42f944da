"""Scores made probabilities: slope and intercept from held-out pairs of some sets.

Shapes: N rows of a set, K neighbors per row with the row itself at rank 0, M held-out pairs of all sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Bool, Float32
from raycluster.evaluation.reliability import average_precision, expected_calibration_error, reliability
from raycluster.models.calibration import Table, platt, probability
from raycluster.storage.tables import Facts
from raycluster.training import calibration
from raycluster.training.calibrated_limits import GRID
from raycluster.training.labelled_set import LabelledSet

CERTAIN = 1e-7
"""Least distance of a raw score from 0 and 1 before its logit is taken back, which so stays within 16.1 of 0. It is near
float32's precision next to 1."""


@dataclass(frozen=True)
class Probabilities:
    """Scores of the sets as probabilities, and how good these are."""

    slope: float
    intercept: float
    scores: list[Float32]
    """Probabilities (N, K) of every set; NaN where a pair has no score."""
    reliability: Table
    """As `evaluation.reliability.reliability` has it."""
    edge_curve: Table
    """Precision and recall of held-out pairs per limit."""
    metrics: Facts


def fit_probabilities(sets: Sequence[LabelledSet]) -> Probabilities:
    """Fit the calibration of a model whose raw scores the sets' `relations` hold."""
    logits = [raw_logits(labelled) for labelled in sets]
    logit, same = _held_out_pairs(sets, logits)
    slope, intercept = platt(logit, same)
    calibrated = probability(logit, slope, intercept)
    before, after = reliability(probability(logit, 1.0, 0.0), same), reliability(calibrated, same)
    metrics = {
        "average_precision": average_precision(logit, same),
        "calibration_error": expected_calibration_error(after),
        "calibration_error_before": expected_calibration_error(before),
        "pairs": len(same),
    }
    scores = [np.asarray(probability(values, slope, intercept), np.float32) for values in logits]
    edge_curve = calibration.edge_curve(calibrated, same, GRID)
    return Probabilities(slope, intercept, scores, after, edge_curve, metrics)


def _held_out_pairs(sets: Sequence[LabelledSet], logits: Sequence[Float32]) -> tuple[Float32, Bool]:
    """Return logits and truth (M,) of the held-out pairs that have a score."""
    chosen, truths = [], []
    for labelled, logit in zip(sets, logits, strict=True):
        rows = labelled.anchors(held_out=True)
        is_scored = labelled.usable(rows, held_out=True) & ~np.isnan(logit[rows])
        chosen.append(logit[rows][is_scored])
        truths.append(labelled.same(rows)[is_scored])
    return np.concatenate(chosen), np.concatenate(truths)


def raw_logits(labelled: LabelledSet) -> Float32:
    """Return the logits (N, K) behind a set's raw scores, as far as float32 has them.

    A model without a calibration writes the sigmoids of its logits. NaN stays.
    """
    score = labelled.tables.column("relations", "score")
    clipped = np.clip(score.astype(np.float64), CERTAIN, 1 - CERTAIN)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), np.float32)
