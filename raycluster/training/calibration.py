"""Curves over held-out pairs, and the point that is chosen of each.

M   pairs of a row and a neighbor, both of held-out identities or one of them
"""

import math
from collections.abc import Sequence

import numpy as np

from raycluster.arrays import Bool, Float64, Floats
from raycluster.errors import InputError
from raycluster.models.calibration import Table


def edge_curve(score: Floats, same: Bool, thresholds: Sequence[float] | Float64) -> Table:
    """What keeping the edges with score >= threshold does, a point a threshold: threshold, precision, recall, edges.

    score (M,), same (M,); thresholds are compared in the precision of the scores. Precision is 1 where no edge is left,
    recall 1 where there is no true pair to keep, as in `metrics.pairwise`.
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
    """The highest NEP floor (delta of S1's edge recall) at or above which `share` (0..1, above 0) of the true pairs lie.

    nep (M,), same (M,). `edge_curve(nep, same, ...)` is its curve. Raises InputError where no pair is true.
    """
    assert 0 < share <= 1, "a share of the true pairs"
    true = np.sort(nep[same])
    if len(true) == 0:
        raise InputError("No row held out of training has a neighbor of its own identity; train on more identities.")
    kept = math.ceil(share * len(true) - 1e-9)
    return float(true[len(true) - max(kept, 1)])


def best(curve: Table, key: str = "f", tolerance: float = 0.001) -> dict[str, float]:
    """The strictest point of a curve whose `key` is within `tolerance` of the highest: it has the highest threshold.

    Wrong merges are worse than wrong splits, and so small a difference is Infomap's noise, in precision as in F.
    """
    highest = max(point[key] for point in curve)
    return max((point for point in curve if point[key] >= highest - tolerance), key=lambda point: point["threshold"])
