"""The limits of a set whose scores show no valley.

Either lists end among strangers. Then the model's limit holds, and an edge must also reach the threshold of the far ranks.
Without a valley, scores may join rows that are close but only related, such as texts of one topic. Where the far ranks show
no background, their threshold is chance, and even odds are the limit.

Or identities fill the lists. The network often reads a full list as a crowd of relatives, and scores far too low. Where it does
not, the model's limit holds. Else its order of pairs is still better than that of cosines. There a low limit holds, and no edge
weighs more than the mean listed pair: edges between the modes of an identity are never near 1.

Shapes: N rows, K neighbors per row with the row itself at rank 0.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from raycluster.arrays import Bool, Float32
from raycluster.kernels.edge_rules.score import odds
from raycluster.limits.cohesion import Lists
from raycluster.limits.far_ranks import (
    CROWDED,
    FAR_RANKS,
    FULL_NEIGHBORHOODS,
    MAX_ROWS,
    UNRESOLVED_RISK,
    pick_threshold,
)
from raycluster.limits.random_pairs import sample_pairs

Picked = tuple[float, Mapping[str, Any]]
"""A threshold and its facts, as `pick_threshold` returns them."""
POOLED = "similarity"
"""Calibration of models whose scores hold the opinion of similarity already (`raycluster.models.second_opinion`)."""
FULL_SHARE = 1 / 3
"""Share of listed pairs above the threshold from which identities fill the lists. At K = 80 it is 0.49 to 1 with
identities of 67 rows or more. It is at most 0.24 where they have 30 or fewer."""
READ_SHARE = 0.37
"""Mean score of listed pairs from which the network reads lists as full. Raising it splits large identities; lowering it merges
small ones. Where the far ranks have no background it is 0.41 or more on 21 sets of full lists: utterances, requests, digits. It
is 0.11 to 0.34 on ten sets of smaller identities, and 0.23 to 0.29 on four generated sets of uneven ones."""
FULL_ETA = 0.15
"""Lowest score of an edge where identities fill the lists. Of utterances, requests, digits and goods BCubed F moves by at most 2
from 0.1 to 0.2. At 0.6 it is 16 to 40 lower on the first three."""
KEPT_SHARE = 0.9
"""Share of the pairs above the threshold that the limit of the model keeps where scores on full lists are not too low. It is 0.93
on dense identities, whose BCubed F is 96 at that limit and 86 at `FULL_ETA`. It is 0.25 to 0.65 on classes, digits, requests and
utterances. It is 0.87 on a generated set that gets 86 at `FULL_ETA` and 78 at the limit of the model. Below near copies it is
0.97 or more where scores are right, and 0.77 or less where they part identities into bursts."""
ODDS_OVER_FULL = 4.0
"""Least cap on the odds of an edge there, in multiples of the odds at the limit. Raising it splits large classes: BCubed F of
MNIST is 49 at 2, 47 at 4 and 32 at 10. Utterances have 78, 80 and 80."""
EVEN_ETA = 0.5
"""Lowest score of an edge that must reach the threshold, too, where scores hold the opinion of similarity already: even odds.
At 0.6 BCubed F of five sets is 0.3 lower on the mean, and that of glyphs 2.9. At 0.4 the mean is 0.2 lower."""


def fills_lists(similarity: Float32, score: Float32, picked: Picked) -> bool:
    """Whether identities fill the neighbor lists, so that hardly a stranger is listed.

    Random pairs show it. Where the far ranks have no background, or random pairs are as near as neighbors, they do not. There
    the network must read lists as full, too.

    Parameters
    ----------
    similarity, score : float32 (N, K)
        Of more than `MAX_ROWS` rows every n-th is read. A missing score is NaN and counts as 0.
    picked : Picked
        The threshold of the set and its facts.
    """
    threshold, facts = picked
    show_nothing = shows_no_background(picked)
    if not show_nothing and facts["basis"] != FULL_NEIGHBORHOODS:
        return False
    step = -(-len(similarity) // MAX_ROWS)
    # A crowded set's threshold is a quantile: as many pairs are near in every such set.
    is_near = facts["basis"] == CROWDED or float((similarity[::step, 1:] >= threshold).mean()) >= FULL_SHARE
    return is_near and (not show_nothing or are_read_as_full(score[::step]))


def shows_no_background(picked: Picked) -> bool:
    """Whether neither far ranks nor random pairs show which neighbors are strangers."""
    return bool(picked[1]["basis"] == CROWDED or is_unresolved(picked))


def is_unresolved(picked: Picked) -> bool:
    """Whether far ranks gave a threshold without a background to read it from."""
    _, facts = picked
    return bool(facts["basis"] == FAR_RANKS and facts["risk"] >= UNRESOLVED_RISK)


def are_read_as_full(score: Float32) -> bool:
    """Whether the mean score (N, K) of listed pairs is that of full lists."""
    return _mean_of(score) >= READ_SHARE


def _mean_of(score: Float32) -> float:
    return float(np.nan_to_num(score[:, 1:]).mean(dtype=np.float64))


def odds_of_full(score: Float32, picked: Picked) -> float:
    """Return the odds that no edge exceeds where identities fill the lists.

    They are those of the mean score of listed pairs. Where random pairs are as near as neighbors, scores part the modes of an
    identity. There they are the least, `ODDS_OVER_FULL` times those of the limit.

    Parameters
    ----------
    score : float32 (N, K)
        Of more than `MAX_ROWS` rows every n-th is read. A missing score is NaN and counts as 0.
    picked : Picked
        The threshold of the set and its facts.
    """
    if picked[1]["basis"] == CROWDED:
        return least_odds_of_full()
    mean = odds(np.array([_mean_of(score[:: -(-len(score) // MAX_ROWS)])], np.float32))
    return max(least_odds_of_full(), round(float(mean[0]), 6))


def least_odds_of_full() -> float:
    """Return the lowest cap on the odds of an edge where identities fill the lists."""
    return ODDS_OVER_FULL * FULL_ETA / (1 - FULL_ETA)


def passing(similarity: Float32, score: Float32, threshold: float, eta: float) -> tuple[Bool, Bool]:
    """Return which neighbors pass a limit of similarity, and which one of score.

    Parameters
    ----------
    similarity, score : float32 (N, K)
        Of more than `MAX_ROWS` rows every n-th is read. A missing score is NaN and passes no limit.
    threshold, eta : float
        The limits of similarity and of score.

    Returns
    -------
    bool (R, K - 1), bool (R, K - 1)
        Of the R rows that are read, without the row itself.
    """
    step = -(-len(similarity) // MAX_ROWS)
    return similarity[::step, 1:] >= threshold, score[::step, 1:] >= eta


def are_too_low(similarity: Float32, score: Float32, threshold: float, eta: float) -> bool:
    """Whether a limit of scores loses many of the pairs above a threshold.

    On full lists, and where nearly every row has near copies, such a limit parts identities.

    Parameters
    ----------
    similarity, score : float32 (N, K)
        Of more than `MAX_ROWS` rows every n-th is read. A missing score is NaN and passes no limit.
    threshold : float
        The threshold of similarity of the set.
    eta : float
        The limit of scores: the model's, or the valley of the set.
    """
    near, alike = passing(similarity, score, threshold, eta)
    return bool(alike[near].mean() < KEPT_SHARE) if near.any() else False


def floor_of(picked: Picked) -> float | None:
    """Return the lowest similarity of an edge.

    None where random pairs alone gave it, and where the far ranks show no background.
    """
    threshold, facts = picked
    return None if facts["basis"] == FULL_NEIGHBORHOODS or is_unresolved(picked) else threshold


def eta_among_strangers(picked: Picked, eta: float, calibrated: Mapping[str, float]) -> float:
    """Return the lowest score of an edge where strangers are listed.

    Parameters
    ----------
    picked : Picked
        The threshold of the set and its facts.
    eta : float
        The limit of the model.
    calibrated : mapping of str to float
        All that the model is calibrated to. Where scores can hold the opinion of similarity, the limit is at most `EVEN_ETA`
        beside a threshold of far ranks. That of an unresolved set is chance, and no floor either.
    """
    if POOLED not in calibrated:
        return eta
    has_opinion = picked[1]["risk"] < UNRESOLVED_RISK and floor_of(picked) is not None
    return min(eta, EVEN_ETA) if has_opinion or is_unresolved(picked) else eta


def similarity_floor(similarity: Float32, lists: Lists) -> float | None:
    """Return `floor_of` the threshold that is picked for similarities (N, K)."""
    return floor_of(pick_threshold(similarity, sample_pairs(lists.vectors), lists))
