"""Where scores show no valley: full lists, and the lowest similarity of lists that end among strangers."""

from unittest import mock

import numpy as np
import pytest

from raycluster.kernels.edge_rules import MOST_ODDS
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.limits import without_valley
from raycluster.limits.cohesion import Lists
from raycluster.limits.far_ranks import CROWDED, FAR_RANKS, FULL_NEIGHBORHOODS, SINGLETONS, pick_threshold
from raycluster.limits.random_pairs import sample_pairs
from raycluster.limits.without_valley import (
    EVEN_ETA,
    POOLED,
    are_read_as_full,
    are_too_low,
    eta_among_strangers,
    fills_lists,
    floor_of,
    least_odds_of_full,
    odds_of_full,
    similarity_floor,
)
from support.data import identities


def test_the_similarity_floor_is_the_threshold_that_far_ranks_suggest() -> None:
    vectors, _ = identities(30, 8)
    neighbor, similarity = exact_top_k(vectors, np.arange(240, dtype=np.int32), vectors, 12)
    lists = Lists(neighbor, vectors)
    threshold, _ = pick_threshold(similarity, sample_pairs(vectors), lists)
    assert similarity_floor(similarity, lists) == threshold
    with mock.patch.object(without_valley, "pick_threshold", return_value=(0.6, {"basis": FULL_NEIGHBORHOODS})):
        assert similarity_floor(similarity, lists) is None
    for basis, risk in ((FAR_RANKS, 0.5), (SINGLETONS, 0.9), (CROWDED, 0.9)):
        assert floor_of((0.6, {"basis": basis, "risk": risk})) == 0.6
    assert floor_of((0.6, {"basis": FAR_RANKS, "risk": 0.9})) is None


@pytest.mark.parametrize(
    ("basis", "risk", "near", "score", "expected"),
    [
        (FAR_RANKS, 0.9, 6, 0.5, True),
        (FAR_RANKS, 0.9, 6, 0.3, False),
        (FAR_RANKS, 0.9, 2, 0.5, False),
        (FAR_RANKS, 0.5, 6, 0.5, False),
        (FULL_NEIGHBORHOODS, 0.95, 6, 0.1, True),
        (FULL_NEIGHBORHOODS, 0.95, 2, 0.5, False),
        (CROWDED, 0.95, 2, 0.5, True),
        (CROWDED, 0.95, 6, 0.3, False),
        (SINGLETONS, 0.9, 6, 0.5, False),
    ],
)
def test_lists_are_full_where_random_pairs_show_it_or_scores_do(
    basis: str, risk: float, near: int, score: float, expected: bool
) -> None:
    similarity = np.full((50, 11), 0.3, np.float32)
    similarity[:, : near + 1] = 0.8
    scores = np.full((50, 11), score, np.float32)
    scores[:, 0] = np.nan
    assert fills_lists(similarity, scores, (0.5, {"basis": basis, "risk": risk})) is expected


def test_pairs_without_a_score_count_as_strangers() -> None:
    score = np.full((50, 11), 0.9, np.float32)
    assert are_read_as_full(score)
    score[:, 4:] = np.nan  # 3 of 10 neighbors are left
    assert not are_read_as_full(score)


@pytest.mark.parametrize(
    ("basis", "risk", "eta", "calibrated", "expected"),
    [
        (FAR_RANKS, 0.5, 0.6, {POOLED: 6.0}, EVEN_ETA),
        (FAR_RANKS, 0.5, 0.3, {POOLED: 6.0}, 0.3),
        (FAR_RANKS, 0.9, 0.6, {POOLED: 6.0}, EVEN_ETA),
        (CROWDED, 0.9, 0.6, {POOLED: 6.0}, 0.6),
        (SINGLETONS, 0.9, 0.6, {POOLED: 6.0}, 0.6),
        (FAR_RANKS, 0.5, 0.6, {"eta": 0.6}, 0.6),
        (FULL_NEIGHBORHOODS, 0.5, 0.6, {POOLED: 6.0}, 0.6),
    ],
)
def test_even_odds_are_enough_where_scores_hold_the_opinion_of_similarity_or_the_threshold_is_chance(
    basis: str, risk: float, eta: float, calibrated: dict[str, float], expected: float
) -> None:
    assert eta_among_strangers((0.7, {"basis": basis, "risk": risk}), eta, calibrated) == expected


@pytest.mark.parametrize(
    ("basis", "score", "expected"),
    [
        (FAR_RANKS, 0.75, 3.0),
        (FULL_NEIGHBORHOODS, 0.99, MOST_ODDS),
        (FAR_RANKS, 0.2, least_odds_of_full()),
        (CROWDED, 0.75, least_odds_of_full()),
    ],
)
def test_no_edge_of_full_lists_weighs_more_than_the_mean_pair(basis: str, score: float, expected: float) -> None:
    scores = np.full((50, 11), score, np.float32)
    scores[:, 0] = np.nan
    assert odds_of_full(scores, (0.5, {"basis": basis, "risk": 0.9})) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("kept", "expected"), [(10, False), (9, False), (8, True), (0, True)])
def test_scores_are_too_low_where_the_limit_of_the_model_keeps_fewer_than_nine_of_ten_near_pairs(
    kept: int, expected: bool
) -> None:
    similarity = np.full((40, 16), 0.3, np.float32)
    similarity[:, :11] = 0.8
    score = np.full((40, 16), 0.7, np.float32)
    score[:, 1 + kept : 11] = np.nan
    assert are_too_low(similarity, score, 0.5, 0.6) is expected
    assert not are_too_low(similarity, score, 0.9, 0.6), "no pair is near"
