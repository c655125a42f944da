"""Thresholds of similarity that scores of a few rows decide.

Where the far ranks have no background, the threshold of least risk is chance. It may leave nearly all rows alone, or join
nearly all. A network reads more of a list than its similarities. Its scores of a sample of rows part three cases:

    full lists, random pairs as near:    nearly every listed pair is an edge.
    full lists else:                     the threshold of least risk stays.
    other lists:                         the threshold whose pairs agree best with those scored at even odds or more.

The agreement is the F of pairs: twice those in both sets, over the sizes of both.

Shapes: S sampled rows, K neighbors per row with the row itself at rank 0.
"""

from collections.abc import Callable

import numpy as np

from raycluster.arrays import Float32
from raycluster.limits.far_ranks import CROWDED
from raycluster.limits.without_valley import EVEN_ETA, Picked, fills_lists, shows_no_background

Sample = Callable[[], tuple[Float32, Float32]]
"""Returns similarities and scores (S, K) of a sample of rows; scores take a second or two."""
AGREED = "scores of a sample of rows"
"""Basis of a threshold that scores of a sample decided."""
LISTED_SHARE = 0.9
"""Share of listed pairs above the threshold where identities fill the lists and random pairs are as near as neighbors. Raising it
joins more. On seven sets of utterances BCubed F moves by 3.4 at most from 0.8 to 1, and is 13 to 36 lower at 1/3."""


def agreed(picked: Picked, sample: Sample | None) -> Picked:
    """Return the picked threshold, or the one of scores where it shows nothing.

    Parameters
    ----------
    picked : Picked
        The threshold of similarities and its facts.
    sample : Sample or None
        Called only where the threshold has no background. Without it the picked threshold stays.
    """
    if sample is None or not shows_no_background(picked):
        return picked
    similarity, score = sample()
    if not fills_lists(similarity, score, picked):
        threshold = agreeing(similarity, score)
    elif picked[1]["basis"] == CROWDED:
        threshold = float(np.quantile(similarity[:, 1:], 1 - LISTED_SHARE))
    else:
        return picked
    return picked if threshold is None else (threshold, {**picked[1], "basis": AGREED})


def agreeing(similarity: Float32, score: Float32) -> float | None:
    """Return the threshold whose pairs agree best with those of high scores.

    High is `EVEN_ETA` or more. Of equally good ones the highest counts. None where no pair has such a score.

    Parameters
    ----------
    similarity, score : float32 (S, K)
        Of the same pairs. A missing score is NaN, and no even odds.
    """
    similar, is_same = similarity[:, 1:].ravel(), score[:, 1:].ravel() >= EVEN_ETA
    if not is_same.any():
        return None
    order = np.argsort(-similar, kind="stable")
    descending = similar[order]
    both, above = np.cumsum(is_same[order]), np.arange(1, len(order) + 1)
    agreement = 2 * both / (above + is_same.sum())
    # Pairs of one similarity pass together: the last of them stands for all.
    agreement[:-1][descending[:-1] == descending[1:]] = 0
    return float(descending[agreement.argmax()])
