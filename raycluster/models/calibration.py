"""Raw numbers of a model made probabilities: Platt scaling, and Top-K confidence.

Training fits both on held-out identities, and the model's card carries them; inference only applies them.

Shapes: M pairs, R rows, K neighbors per row with the row itself at rank 0.
"""

import numpy as np
from scipy.special import expit

from raycluster.arrays import Bool, Float32, Float64, Floats, Ints

Table = list[dict[str, float]]
"""A curve or table: one dictionary of plain numbers per point, ready for the card of a model."""

BUCKET = 10
"""Predicted Top-K, in neighbors, that share one confidence: the step to which eq. 7 of S1 rounds a Top-K up."""
FLATTEST = 1e-6
"""Least slope per standard deviation of the logits that a fit returns: a probability never falls as the logit rises."""
NARROWEST = 1e-9
"""Spread of logits, as a share of the largest, that is float64's rounding and no difference between pairs."""


def platt(logit: Floats, same: Bool) -> tuple[float, float]:
    """Return the slope, above 0, and intercept that make logits probabilities.

    They are the most likely ones for `P(same) = sigmoid(slope logit + intercept)` on Platt's targets (1999). The n true
    pairs have (n+1)/(n+2) and the m others 1/(m+2), so separable pairs have a finite slope. Logits that carry no
    information, or rank pairs the wrong way, give nearly the same probability everywhere.

    Parameters
    ----------
    logit
        (M,), finite, at least one.
    same
        bool (M,), whether the pair is one identity.

    Returns
    -------
    tuple of float
        Slope and intercept.
    """
    assert len(logit) == len(same) > 0, "one logit and one truth per pair"
    value = np.asarray(logit, np.float64)
    true = np.count_nonzero(same)
    target = np.where(same, (true + 1) / (true + 2), 1 / (len(same) - true + 2))
    center, spread = float(value.mean()), float(value.std())
    if spread <= NARROWEST * max(1.0, float(np.abs(value).max())):  # nothing but rounding
        spread = 1.0
    value = (value - center) / spread

    def loss(at: Float64) -> tuple[float, Float64]:
        z = at[0] * value + at[1]
        excess = expit(z) - target
        return float((np.logaddexp(0, z) - target * z).mean()), np.array([(excess * value).mean(), excess.mean()])

    from scipy.optimize import minimize  # scoring needs none of it, and its import is slow

    optimum = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(FLATTEST, None), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000},
    )  # fmt: skip
    slope = float(optimum.x[0]) / spread
    return slope, float(optimum.x[1]) - slope * center


def probability(logit: Floats, slope: float, intercept: float) -> Floats:
    """Return the probability (M,) of one identity, in 0..1, in the logits' dtype.

    Parameters
    ----------
    logit
        (M,); NaN stays NaN.
    slope
        Above 0.
    intercept
        Logit of the probability at 0.

    Returns
    -------
    (M,)
        In 0..1, of the dtype of `logit`.
    """
    return expit(slope * logit + intercept)


def topk_confidence(predicted: Ints, true: Ints, k: int, within: int = 10) -> Table:
    """Return how often a predicted Top-K is near the true one, per bucket of it.

    Buckets are 1..10, 11..20, ... of the prediction; empty ones are left out.

    Parameters
    ----------
    predicted
        (R,) in 1..k.
    true
        (R,) in 1..k.
    k
        Largest Top-K.
    within
        Neighbors that a near prediction may be off. Raising it raises every share.

    Returns
    -------
    list of dict
        low, high, count, share (of the bucket's rows that are near), mean_error (in neighbors).
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
    """Return the `share` (R,) of the bucket that each predicted Top-K (R,) lies in.

    A bucket that the table lacks has the share of the nearest, of two equally near the lower.
    """
    assert table, "a confidence table has a bucket"
    low, high, share = (np.array([row[name] for row in table]) for name in ("low", "high", "share"))
    value = np.arange(predicted.max(initial=0) + 1)[:, None]
    nearest = np.maximum(low - value, value - high).clip(0).argmin(axis=1)
    return share[nearest].astype(np.float32)[predicted]
