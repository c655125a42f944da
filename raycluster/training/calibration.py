"""Thresholds and probabilities read from held-out identities, and the curves they are read from.

A curve or table is a list of dictionaries of plain numbers, one a point, ready for the card of a model.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from raycluster.arrays import Bool, Float32, Float64, Floats, Ints
from raycluster.errors import InputError

Table = list[dict[str, float]]

BUCKET = 10
_FLATTEST = 1e-6
_NARROWEST = 1e-9


def platt(logit: Floats, same: Bool) -> tuple[float, float]:
    """Slope > 0 and intercept of the most likely `P(same) = sigmoid(slope logit + intercept)`.

    logit (M,) finite, same (M,) whether the pair is one identity, M >= 1. The targets are Platt's (1999), (n + 1) / (n + 2)
    for the n true pairs and 1 / (m + 2) for the m others, so separable pairs have a finite slope. Logits that tell
    nothing, or the opposite, give nearly the same probability everywhere.
    """
    assert len(logit) == len(same) > 0, "a logit and a truth a pair"
    value = np.asarray(logit, np.float64)
    true = np.count_nonzero(same)
    target = np.where(same, (true + 1) / (true + 2), 1 / (len(same) - true + 2))
    center, spread = float(value.mean()), float(value.std())
    if spread <= _NARROWEST * max(1.0, float(np.abs(value).max())):  # rounding, not a spread
        spread = 1.0
    value = (value - center) / spread

    def loss(at: Float64) -> tuple[float, Float64]:
        z = at[0] * value + at[1]
        excess = expit(z) - target
        return float((np.logaddexp(0, z) - target * z).mean()), np.array([(excess * value).mean(), excess.mean()])

    found = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(_FLATTEST, None), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000},
    )  # fmt: skip
    slope = float(found.x[0]) / spread
    return slope, float(found.x[1]) - slope * center


def probability(logit: Floats, slope: float, intercept: float) -> Floats:
    """Probability of one identity (M,) in 0..1 for logits (M,), of their dtype."""
    return expit(slope * logit + intercept)


def reliability(probability: Floats, same: Bool | Floats, bins: int = 10) -> Table:
    """Predicted against actual share of true pairs by equal bins of 0..1: low, high, count, mean_probability, share_same.

    probability (M,) in 0..1, same (M,) the truth, or its chance in 0..1. A bin is [low, high), the last one [low, 1]; empty
    ones are left out.
    """
    assert np.all((probability >= 0) & (probability <= 1)), "a probability lies in 0..1"
    edges = np.arange(1, bins) / bins
    own = np.searchsorted(edges, probability, side="right")
    count = np.bincount(own, minlength=bins)
    total = np.bincount(own, weights=probability, minlength=bins)
    true = np.bincount(own, weights=same, minlength=bins)
    return [
        {
            "low": at / bins,
            "high": (at + 1) / bins,
            "count": int(count[at]),
            "mean_probability": float(total[at] / count[at]),
            "share_same": float(true[at] / count[at]),
        }
        for at in np.flatnonzero(count).tolist()
    ]


def expected_calibration_error(table: Table) -> float:
    """Mean over pairs of |mean_probability - share_same| of their bin, from the table of `reliability`; 0 if empty."""
    pairs = sum(row["count"] for row in table)
    return sum(row["count"] * abs(row["mean_probability"] - row["share_same"]) for row in table) / max(pairs, 1)


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


def average_precision(score: Floats, same: Bool) -> float:
    """Area under the precision-recall steps, sum of (R_n - R_(n-1)) P_n over the distinct scores; 0 without a true pair.

    score (M,), same (M,).
    """
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.diff(score[order], append=np.nan))
    hits = np.cumsum(same[order])[last]
    return float((np.diff(hits, prepend=0) * hits / (last + 1)).sum() / max(np.count_nonzero(same), 1))


def best(curve: Table, key: str = "f", tolerance: float = 0.001) -> dict[str, float]:
    """The strictest point of a curve whose `key` is within `tolerance` of the highest: it has the highest threshold.

    Wrong merges are worse than wrong splits, and so small a difference is Infomap's noise, in precision as in F.
    """
    highest = max(point[key] for point in curve)
    return max((point for point in curve if point[key] >= highest - tolerance), key=lambda point: point["threshold"])


def topk_confidence(predicted: Ints, true: Ints, k: int, within: int = 10) -> Table:
    """How far to trust a predicted Top-K, by buckets 1..10, 11..20, ... of it: low, high, count, share, mean_error.

    predicted (R,) and true (R,) in 1..k. `share` of the bucket's rows are at most `within` off, `mean_error` off on
    average; empty buckets are left out.
    """
    assert np.all((predicted >= 1) & (predicted <= k)), "a Top-K lies in 1..k"
    error = np.abs(predicted - true)
    bucket = (predicted - 1) // BUCKET
    count = np.bincount(bucket)
    near = np.bincount(bucket, weights=error <= within)
    total = np.bincount(bucket, weights=error)
    return [
        {
            "low": at * BUCKET + 1,
            "high": min((at + 1) * BUCKET, k),
            "count": int(count[at]),
            "share": float(near[at] / count[at]),
            "mean_error": float(total[at] / count[at]),
        }
        for at in np.flatnonzero(count).tolist()
    ]


def confidence_of(table: Table, predicted: Ints) -> Float32:
    """`share` (R,) of the bucket of each predicted Top-K (R,), or of the nearest bucket there is, the lower if two are."""
    assert table, "a confidence table has a bucket"
    low, high, share = (np.array([row[name] for row in table]) for name in ("low", "high", "share"))
    value = np.arange(predicted.max(initial=0) + 1)[:, None]
    nearest = np.maximum(low - value, value - high).clip(0).argmin(axis=1)
    return share[nearest].astype(np.float32)[predicted]
