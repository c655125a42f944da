"""Measures of probabilities and scores against the truth of labelled pairs.

Shapes: M pairs or rows with a true label.
"""

import numpy as np

from raycluster.arrays import Bool, Floats
from raycluster.models.calibration import Table


def reliability(probability: Floats, same: Bool | Floats, bins: int = 10) -> Table:
    """Return predicted against actual share of true pairs, per bin of probability.

    Parameters
    ----------
    probability
        (M,) in 0..1.
    same
        (M,), the truth, or its chance in 0..1.
    bins
        Equal bins of 0..1: [low, high), the last one [low, 1]. Empty ones are left out.

    Returns
    -------
    list of dict
        low, high, count, mean_probability, share_same.
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
    """Return the mean over pairs of their bin's |mean_probability - share_same|.

    `table` is that of `reliability`; an empty one has error 0.
    """
    pairs = sum(row["count"] for row in table)
    return sum(row["count"] * abs(row["mean_probability"] - row["share_same"]) for row in table) / max(pairs, 1)


def average_precision(score: Floats, same: Bool) -> float:
    """Return the area under the steps of precision over recall; 0 without a true pair.

    That is the sum of (R_n - R_(n-1)) P_n over the distinct scores, as in scikit-learn, for score (M,) and truth (M,).
    """
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.diff(score[order], append=np.nan))
    hits = np.cumsum(same[order])[last]
    return float((np.diff(hits, prepend=0) * hits / (last + 1)).sum() / max(np.count_nonzero(same), 1))
