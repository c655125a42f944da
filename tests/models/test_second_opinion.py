"""Scores with the opinion of similarity: neutral at both limits, between both opinions elsewhere."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.limits.far_ranks import UNRESOLVED_RISK
from raycluster.limits.without_valley import POOLED
from raycluster.models.card import load_card
from raycluster.models.second_opinion import pooled
from raycluster.models.set_statistics import RISK, SETTING, SetStatistics

CARD = load_card("auto")[0]
ETA, SLOPE = CARD.thresholds["eta"], CARD.thresholds[POOLED]
SET = SetStatistics(shared=0.25, background=0.2, spread=0.05, threshold=0.6, setting=(0.0,) * SETTING)
FACTS = {"statistics": SET.to_json()}
AT_THRESHOLD = 0.6 * 0.75 + 0.25
"""Cosine of the set's threshold, the shared component included."""


def one(score, similarity, card=CARD, facts=FACTS):
    return float(pooled(card, np.float32([[score]]), np.float32([[similarity]]), facts)[0, 0])


def log_odds(value):
    return math.log(value / (1 - value))


def test_a_pair_at_the_threshold_and_at_eta_keeps_its_score():
    assert one(ETA, AT_THRESHOLD) == pytest.approx(ETA, abs=1e-5)


@pytest.mark.parametrize("score", [0.02, 0.5, 0.97])
@pytest.mark.parametrize("share", [-0.2, 0.0, 0.7, 1.4])
def test_log_odds_are_the_mean_of_both_opinions(score, share):
    cosine = 0.2 + share * 0.4
    expected = (log_odds(score) + log_odds(ETA) + SLOPE * (share - 1)) / 2
    assert log_odds(one(score, cosine * 0.75 + 0.25)) == pytest.approx(expected, abs=1e-4)


@given(st.floats(0, 1), st.floats(-1, 1), st.floats(0, 1), st.floats(-1, 1))
def test_neither_opinion_ever_lowers_a_score_as_it_rises(first, similarity, second, other):
    low, high = sorted((first, second))
    far, near = sorted((similarity, other))
    assert 0 <= one(low, far) <= one(high, far) <= one(high, near) <= 1


def test_missing_scores_stay_missing_and_shards_do_not_matter():
    random = np.random.default_rng(0)
    score, similarity = random.random((7, 5), np.float32), random.random((7, 5), np.float32)
    score[:, 0] = np.nan
    whole = pooled(CARD, score, similarity, FACTS)
    np.testing.assert_array_equal(np.isnan(whole), np.isnan(score))
    assert whole.dtype == np.float32
    halves = [pooled(CARD, score[part], similarity[part], FACTS) for part in (slice(0, 3), slice(3, 7))]
    np.testing.assert_array_equal(np.concatenate(halves), whole)


def test_models_without_a_slope_and_without_statistics_keep_their_scores():
    thresholds = {name: value for name, value in CARD.thresholds.items() if name != POOLED}
    assert one(0.9, 0.1, dataclasses.replace(CARD, thresholds=thresholds)) == np.float32(0.9)
    assert one(0.9, 0.1, facts={"background": [0.0, 0.1]}) == np.float32(0.9)


def test_similarity_has_no_opinion_where_its_threshold_is_unresolved():
    setting = [0.0] * SETTING
    setting[RISK] = UNRESOLVED_RISK
    unresolved = dataclasses.replace(SET, setting=tuple(setting))
    assert unresolved.risk == UNRESOLVED_RISK
    assert one(0.9, 0.1, facts={"statistics": unresolved.to_json()}) == np.float32(0.9)
