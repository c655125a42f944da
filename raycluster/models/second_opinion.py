"""Learned scores and similarity, two opinions on a pair, made one.

A network errs where a set is of a kind that its training lacked. A threshold of similarity errs where identities differ in how
near their rows are. These errors have little in common, so the mean of both opinions, as log odds, is right more often than
either (Genest and Zidek 1986: logarithmic pooling with equal weights):

    logit s = (logit p + logit eta + slope (u - 1)) / 2

p is the network's probability, and u the similarity on the scale of the set: 0 at random pairs, 1 at the threshold that the far
ranks suggest. A pair at the threshold and at eta, the limit of the model, keeps its score. The slope is a calibration of the
model, in log odds from random pairs to the threshold. That of `auto` is 6. On 22 sets 4 and 9 move BCubed F by 1 at most.

Where the far ranks show no background (`UNRESOLVED_RISK`), similarity has no opinion, and scores stay. With it, generated sets of
that kind lost 9 to 66 points of BCubed F.

Shapes: B rows, K neighbors per row with the row itself at rank 0.
"""

from typing import Any

import numpy as np
from scipy.special import expit, logit

from raycluster.arrays import Float32
from raycluster.limits.far_ranks import UNRESOLVED_RISK
from raycluster.limits.without_valley import POOLED
from raycluster.models.card import Card
from raycluster.models.set_statistics import SetStatistics

CERTAIN = 1e-6
"""Least distance of a probability from 0 and 1 before its log odds are taken, so that they are finite."""


def pooled(card: Card, score: Float32, similarity: Float32, facts: dict[str, Any]) -> Float32:
    """Return scores (B, K) with the opinion of similarity; NaN stays.

    Models without a slope for it keep their scores, and sets whose threshold is unresolved.

    Parameters
    ----------
    card : Card
        The model's, with its limit `eta` and maybe the slope `POOLED`.
    score : float32 (B, K)
        Probabilities of the network.
    similarity : float32 (B, K)
        Of the same pairs.
    facts : dict
        `set_statistics.measure` of the whole set.
    """
    slope = card.thresholds.get(POOLED)
    if slope is None or "statistics" not in facts:
        return score
    statistics = SetStatistics.from_json(facts["statistics"])
    if statistics.risk >= UNRESOLVED_RISK:
        return score
    above_threshold = statistics.on_scale(similarity.astype(np.float64)) - 1
    network = logit(np.clip(score.astype(np.float64), CERTAIN, 1 - CERTAIN))
    return np.asarray(expit((network + logit(card.thresholds["eta"]) + slope * above_threshold) / 2), np.float32)
