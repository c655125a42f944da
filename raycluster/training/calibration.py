"""Curves over held-out pairs, and the point that is chosen from a curve.

Shapes: M pairs of a held-out row and a neighbor.
"""

import math
from collections.abc import Sequence

import numpy as np

from raycluster.arrays import Bool, Float64, Floats
from raycluster.errors import InputError
from raycluster.models.calibration import Table

TOLERANCE = 0.001
"""How far below the highest F, in 0..1, a point may lie to be chosen. So small a difference is the noise of a partition, and a
stricter limit is preferred, because wrong merges are worse than wrong splits. Raising it splits more."""


def edge_curve(score: Floats, same: Bool, thresholds: Sequence[float] | Float64) -> Table:
    """Return precision and recall of the edges with score >= threshold, per threshold.

    Parameters
    ----------
    score
        (M,), higher for more likely pairs.
    same
        bool (M,), whether the pair is one identity.
    thresholds
        Compared in the precision of the scores.

    Returns
    -------
    list of dict
        threshold, precision (1 where no edge is left), recall (1 without a true pair, as in `metrics.pairwise`), edges.
    """
    order = np.argsort(score, kind="stable")
    true_below = np.concatenate([[0], np.cumsum(same[order])])
    below = np.searchsorted(score[order], np.asarray(thresholds, score.dtype), side="left")
    edges, true = len(score) - below, true_below[-1] - true_below[below]
    return [
        {
            "threshold": float(threshold),
            "precision": float(hits / kept) if kept else 1.0,
            "recall": float(hits / true_below[-1]) if true_below[-1] else 1.0,
            "edges": int(kept),
        }
        for threshold, kept, hits in zip(thresholds, edges, true, strict=True)
    ]


def floor_for_recall(nep: Floats, same: Bool, share: float = 0.95) -> float:
    """Return the highest NEP floor that keeps a share of the true pairs.

    Parameters
    ----------
    nep
        (M,), NEP of the pairs, in 0..1.
    same
        bool (M,), whether the pair is one identity.
    share
        Share of the true pairs to keep, above 0 and at most 1. Raising it lowers the floor: more pairs are scored.

    Returns
    -------
    float
        NEP in 0..1.

    Raises
    ------
    InputError
        Where no pair is true.

    Notes
    -----
    The floor is delta of S1's edge recall.
    """
    assert 0 < share <= 1, "a share of the true pairs"
    true = np.sort(nep[same])
    if len(true) == 0:
        raise InputError("No row held out of training has a neighbor of its own identity; train on more identities.")
    kept = math.ceil(share * len(true) - 1e-9)  # 0.95 of 20 pairs are 19, whatever float64 makes of the product
    return float(true[len(true) - max(kept, 1)])


def best(curve: Table, key: str = "f", tolerance: float = TOLERANCE) -> dict[str, float]:
    """Return the point with the highest threshold among the nearly best ones.

    Parameters
    ----------
    curve
        Points with `threshold` and `key`; at least one.
    key
        Quality that is maximized.
    tolerance
        How far below the highest `key` a point may lie. So small a difference is the noise of a partition, and a stricter
        threshold is preferred since wrong merges are worse than wrong splits. Raising it splits more.

    Returns
    -------
    dict
        A point of the curve.
    """
    highest = max(point[key] for point in curve)
    return max((point for point in curve if point[key] >= highest - tolerance), key=lambda point: point["threshold"])
