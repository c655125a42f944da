"""How a model's raw numbers become probabilities: Platt scaling of its logits, and how often a predicted Top-K is near.

Training fits both on held-out identities, and the model's card carries them; inference only applies them.

    M   pairs        R   rows        K   neighbors per row, the row itself included
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from raycluster.arrays import Bool, Float32, Float64, Floats, Ints

Table = list[dict[str, float]]
"""A curve or table: one dictionary of plain numbers per point, ready for the card of a model."""

BUCKET = 10
"""Counts of Top-K, in neighbors, that share one confidence: the step to which eq. 7 of S1 rounds a Top-K up."""
_FLATTEST = 1e-6
"""Lowest slope per standard deviation of the logits that the fit may return: a probability never falls as the logit rises."""
_NARROWEST = 1e-9
"""Spread of logits, as a share of the largest, that is float64's rounding and not a difference between pairs."""


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
