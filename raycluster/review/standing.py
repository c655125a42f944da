"""Where a candidate stands among all of its kind, by ranks alone.

Scores, cosines and margins have other scales in every set. Their ranks have none, so two of them add up without a weight.
On the development sets the sum of two ranks found more true merges than a regression that was fitted on generated sets.
"""

import numpy as np

from raycluster.arrays import Float64, Floats, Int64


def tail(value: Floats) -> Float64:
    """Return -log of the share of values (M,) that are at least as high.

    It is 0 for the lowest and log M for the highest. Equal values have equal tails; NaN counts as the lowest.
    """
    wide = np.nan_to_num(np.asarray(value, np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    ordered = np.sort(wide)
    at_least = len(wide) - np.searchsorted(ordered, wide, side="left")
    return -np.log(at_least / max(len(wide), 1))


def ranked(standing: Float64, *ties: Int64) -> Int64:
    """Return the order of candidates, the highest first; ties go by numbers (M,)."""
    return np.lexsort((*ties[::-1], -standing))
