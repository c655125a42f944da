"""How good a clustering is, with intervals, from a few reviewed clusters.

Clusters are drawn with a chance in proportion to their size, with replacement. So each draw stands for a row drawn at random, and
its cluster. A person counts the rows of the cluster that are the identity of the drawn row. A second count is of all rows of
that identity, elsewhere as well.

    BCubed precision      mean over draws of the share of the cluster that is of the row's identity.
    BCubed recall         mean over draws of the share of the row's identity that is in the cluster.
    pairwise precision    ratio of two means: pairs of the row that are right, over pairs that the cluster makes with it.
    pairwise recall       ratio of two means: pairs of the row that are right, over pairs of its identity with it.

The first two are means, the last two ratio estimators (Cochran 1977, chapter 6). Intervals are of Student's t; those of a ratio
use the linearized variance of `right - ratio total`.

Shapes: M draws.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from raycluster.arrays import Float64, Int64, Ints
from raycluster.errors import InputError

DRAWS = 400
"""Clusters to review. Intervals shrink with its root: at a share of one half they are 10 points wide for 400 draws."""
CONFIDENCE = 0.95
"""Chance that an interval covers the truth. Raising it widens them."""
FEWEST = 2
"""Draws from which a variance exists."""


@dataclass(frozen=True)
class Estimate:
    """A share and its interval, in 0..1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Reviewed:
    """What a person found for each draw."""

    cluster_size: Int64
    """(M,) rows of the cluster."""
    right: Int64
    """(M,) rows of the cluster that are the identity of the drawn row, itself included."""
    identity_size: Int64
    """(M,) rows of that identity in the whole set."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if len(self.right) < FEWEST:
            raise InputError(f"Estimates need {FEWEST} reviewed clusters at least, not {len(self.right)}.")
        most = np.minimum(self.cluster_size, self.identity_size)
        bad = np.flatnonzero((self.right < 1) | (self.right > most))
        if len(bad):
            at = int(bad[0])
            raise InputError(
                f"Reviewed cluster {at}: {self.right[at]} rows are right, but a cluster of {self.cluster_size[at]} rows and an "
                f"identity of {self.identity_size[at]} have from 1 to {most[at]} in common."
            )


def draw(cluster: Ints, count: int = DRAWS, seed: int = 0) -> Int64:
    """Return the rows (M,) to review with their clusters, drawn with replacement.

    A row drawn at random brings its cluster in proportion to its size.

    Parameters
    ----------
    cluster : (N,) integers
        Cluster of each row.
    count : int
        Draws M.
    seed : int
        Another seed draws other rows.
    """
    if len(cluster) == 0 or count < 1:
        raise InputError("A sample needs rows to draw from, and one draw at least.")
    return np.random.default_rng(seed).integers(0, len(cluster), count)


def estimates(reviewed: Reviewed, confidence: float = CONFIDENCE) -> dict[str, Estimate]:
    """Return precision and recall, BCubed and pairwise, with intervals.

    Parameters
    ----------
    reviewed : Reviewed
        Draws.
    confidence : float
        Chance, 0..1, that an interval covers the truth.
    """
    right = reviewed.right.astype(np.float64)
    pairs = right - 1
    return {
        "bcubed precision": mean_of(right / reviewed.cluster_size, confidence),
        "bcubed recall": mean_of(right / reviewed.identity_size, confidence),
        "pairwise precision": ratio_of(pairs, (reviewed.cluster_size - 1).astype(np.float64), confidence),
        "pairwise recall": ratio_of(pairs, (reviewed.identity_size - 1).astype(np.float64), confidence),
    }


def mean_of(value: Float64, confidence: float = CONFIDENCE) -> Estimate:
    """Return the mean of values (M,) in 0..1, and its interval."""
    return ratio_of(value, np.ones(len(value)), confidence)


def ratio_of(share: Float64, total: Float64, confidence: float = CONFIDENCE) -> Estimate:
    """Return the ratio of two means and its interval.

    Parameters
    ----------
    share, total : (M,) float64
        A share is at most its total. Where no total is above 0 the ratio is 1, as in the metrics: there is nothing to miss.
    confidence : float
        Chance, 0..1, that the interval covers the truth.

    Notes
    -----
    Where all draws agree the linearized variance is 0. The interval is then that of a share without an exception: its open end
    lies where no exception in M draws has a chance of 1 - confidence (the rule of three). It also holds as a least width.
    """
    count, mean = len(total), float(total.mean())
    if mean <= 0:
        return Estimate(1.0, 0.0, 1.0)
    ratio = float(share.mean()) / mean
    residual = share - ratio * total
    # M - 1, because the mean of the residuals is estimated by 0.
    error = float(np.sqrt((residual**2).sum() / (count - 1) / count)) / mean
    half = float(stats.t.ppf((1 + confidence) / 2, count - 1)) * error
    unseen = 1 - (1 - confidence) ** (1 / count)
    low, high = min(ratio - half, ratio * (1 - unseen)), max(ratio + half, ratio + unseen * (1 - ratio))
    return Estimate(ratio, max(0.0, low), min(1.0, high))
