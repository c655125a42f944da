"""Whether learned scores contradict a clear threshold of similarity.

The threshold of the far ranks comes with its risk, the share of rows that it gets wrong. Scores that disagree with it on more
than twice of these rows are wrong on more rows than it is. Networks meet such sets where they have learned nothing: bursts of
near copies, and sparse vectors whose cosines are mostly 0.

A threshold below near copies (`second_level`) overrules scores that lose a tenth of its pairs: they see little but the copies.

Shapes: N rows, K neighbors per row with the row itself at rank 0.
"""

import numpy as np

from raycluster.arrays import Float32
from raycluster.limits.far_ranks import FAR_RANKS, SECOND_LEVEL, UNRESOLVED_RISK
from raycluster.limits.without_valley import FULL_SHARE, Picked, are_too_low, passing

CLEAR_RISK = 0.1
"""Risk of a threshold, a share of rows, up to which it can overrule scores. It is 0.16 or more on faces and product titles, and
below 0.01 on the bursts and sparse sets where scores fail."""
FACTOR = 2.0
"""Disagreement over risk from which scores are wrong on more rows than the threshold: the rest is theirs alone."""
LEAST_KEPT = 0.5
"""Share of pairs above the threshold that a valley between identities keeps at least. It keeps 0.9 and more where it is one, and
0.02 where 600 of 900 rows are one identity."""
LEAST_KEPT_BY_MODEL = 0.05
"""Share that the model's own limit keeps at least: less joins nothing. It is 0.002 with two identities of 400 rows and 0 with
one of 500 among 40 of five."""
LEAST = 0.02
"""Disagreement, a share of rows, that is never held against scores. It is 0.03 or more on sets where scores fail: at 0.05
identities of 10 rows in two modes lose 12 points of BCubed F. Where both are right, either limit does."""


def disagreement(similarity: Float32, score: Float32, threshold: float, eta: float) -> float:
    """Return how far two limits disagree on the neighbors of rows, as a share of rows.

    Parameters
    ----------
    similarity, score : float32 (N, K)
        Of more than `MAX_ROWS` rows every n-th is read. A missing score is NaN and passes no limit.
    threshold, eta : float
        The limits of similarity and of score.

    Returns
    -------
    float
        The mean over rows of (lost / n)^2 + (added / m)^2. Of the n neighbors that pass the threshold, some are lost by scores;
        of the m that scores pass, some are added. It is of the form of a threshold's risk (`background.risk`).
    """
    near, alike = passing(similarity, score, threshold, eta)
    lost = (near & ~alike).sum(axis=1) / np.maximum(near.sum(axis=1), 1)
    added = (alike & ~near).sum(axis=1) / np.maximum(alike.sum(axis=1), 1)
    return float((lost**2 + added**2).mean())


def contradiction(similarity: Float32, score: Float32, picked: Picked, eta: float, has_valley: bool) -> float | None:
    """Return the disagreement where a threshold overrules scores, else None.

    It is a threshold of the far ranks. It must be clear, or the limit of scores must part most of the pairs that it joins. One
    without a background, of risk `UNRESOLVED_RISK` and more, overrules nothing. Or it is one below near copies.

    Parameters
    ----------
    similarity, score : float32 (N, K)
        Of more than `MAX_ROWS` rows every n-th is read. A missing score is NaN and passes no limit.
    picked : Picked
        The threshold and its facts.
    eta : float
        The limit of scores.
    has_valley : bool
        Whether that limit was read from the set; else it is the model's.
    """
    threshold, facts = picked
    is_below_copies = facts["basis"] == SECOND_LEVEL
    if not is_below_copies and (facts["basis"] != FAR_RANKS or facts["risk"] >= UNRESOLVED_RISK):
        return None
    share = disagreement(similarity, score, threshold, eta)
    if is_below_copies:
        return share if are_too_low(similarity, score, threshold, eta) else None
    is_overruled = is_contradicted(share, facts["risk"]) or parts_most(similarity, score, threshold, eta, has_valley)
    return share if is_overruled else None


def is_contradicted(share: float, risk: float) -> bool:
    """Whether scores are wrong on more rows than the threshold.

    Parameters
    ----------
    share : float
        Of `disagreement`, a share of rows.
    risk : float
        Of the threshold, as `far_ranks.pick_threshold` returns it.
    """
    return risk <= CLEAR_RISK and share > max(FACTOR * risk, LEAST)


def parts_most(similarity: Float32, score: Float32, threshold: float, eta: float, has_valley: bool) -> bool:
    """Whether a limit of scores parts the pairs of identities that fill many lists.

    Where one identity holds most rows, its pairs are nearly all that is listed. They make a peak of their own, low because the
    network reads a full list as a crowd of relatives. A limit above it would part them all.

    Parameters
    ----------
    similarity, score : float32 (N, K)
        Of more than `MAX_ROWS` rows every n-th is read. A missing score is NaN and passes no limit.
    threshold, eta : float
        The limits of similarity and of score.
    has_valley : bool
        Whether the limit of score was read from the set; one of the model parts more where it is right.
    """
    near, alike = passing(similarity, score, threshold, eta)
    least = LEAST_KEPT if has_valley else LEAST_KEPT_BY_MODEL
    return bool(near.mean() >= FULL_SHARE and (near & alike).sum() < least * near.sum())
