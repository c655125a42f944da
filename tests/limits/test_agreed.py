"""Thresholds that scores of a sample decide, where similarities show none."""

import numpy as np
import pytest

from raycluster.limits.agreed import AGREED, LISTED_SHARE, agreed, agreeing
from raycluster.limits.far_ranks import CROWDED, FAR_RANKS, FULL_NEIGHBORHOODS, SINGLETONS

NOTHING = {"basis": FAR_RANKS, "risk": 0.9}


def pairs(seed: int = 0, rows: int = 60, k: int = 12):
    """Similarities and scores that rise with them, but for noise."""
    random = np.random.default_rng(seed)
    similarity = np.sort(random.uniform(0.1, 0.9, (rows, k)).astype(np.float32), axis=1)[:, ::-1].copy()
    score = np.clip(similarity + 0.2 * random.standard_normal((rows, k)) - 0.2, 0, 1).astype(np.float32)
    score[:, 0], score[:, -1] = np.nan, np.nan
    return similarity, score


@pytest.mark.parametrize(
    "facts",
    [
        {"basis": FAR_RANKS, "risk": 0.5},
        {"basis": FULL_NEIGHBORHOODS, "risk": 0.95},
        {"basis": SINGLETONS, "risk": 0.9},
    ],
)
def test_no_row_is_scored_where_similarities_show_a_threshold(facts):
    picked = (0.4, facts)
    assert agreed(picked, lambda: pytest.fail("rows were scored")) == picked


def test_without_scores_the_picked_threshold_stays():
    assert agreed((0.4, NOTHING), None) == (0.4, NOTHING)


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_has_the_highest_f_of_pairs(seed):
    similarity, score = pairs(seed)
    near, is_same = similarity[:, 1:], score[:, 1:] >= 0.5

    def agreement(threshold):
        above = near >= threshold
        return 2 * (above & is_same).sum() / (above.sum() + is_same.sum())

    best = max(agreement(value) for value in np.unique(near))
    assert agreement(np.float32(agreeing(similarity, score))) == best


def test_the_threshold_depends_neither_on_the_order_of_rows_nor_on_ties():
    similarity, score = pairs()
    similarity = np.round(similarity, 1)
    order = np.random.default_rng(1).permutation(len(similarity))
    assert agreeing(similarity[order], score[order]) == agreeing(similarity, score)


def test_lists_that_end_among_strangers_have_the_threshold_of_the_scores():
    similarity, score = pairs()
    threshold, facts = agreed((0.89, NOTHING), lambda: (similarity, score))
    assert threshold == agreeing(similarity, score) != 0.89
    assert facts == {**NOTHING, "basis": AGREED}


def test_full_lists_keep_the_threshold_of_far_ranks_and_nearly_all_pairs_where_random_pairs_are_as_near():
    similarity, score = pairs()
    score[:, 1:] = 0.8
    assert agreed((0.2, NOTHING), lambda: (similarity, score)) == (0.2, NOTHING)
    threshold, facts = agreed((0.6, {"basis": CROWDED, "risk": 0.95}), lambda: (similarity, score))
    assert facts["basis"] == AGREED
    assert (similarity[:, 1:] >= threshold).mean() == pytest.approx(LISTED_SHARE, abs=0.01)


def test_scores_that_join_nothing_decide_nothing():
    similarity, score = pairs()
    score[:] = 0.1
    assert agreeing(similarity, score) is None
    assert agreed((0.7, NOTHING), lambda: (similarity, score)) == (0.7, NOTHING)
