"""What parts the cases of a set's limits of scores."""

from unittest import mock

import numpy as np
import pytest

from raycluster.kernels.search.nearest import exact_top_k
from raycluster.limits import agreement, valley
from raycluster.limits.far_ranks import CROWDED, FAR_RANKS, FULL_NEIGHBORHOODS, SINGLETONS, WHOLE_LISTS
from raycluster.limits.random_pairs import FEWEST_NEIGHBORS, sample_pairs
from raycluster.limits.scored_set import ScoredSet
from support.data import identities

CLEAR = (0.6, {"basis": FAR_RANKS, "risk": 0.0})


def scored(vectors, picked=CLEAR, score=0.9, k=12):
    rows = np.arange(len(vectors), dtype=np.int32)
    neighbor, similarity = exact_top_k(vectors, rows, vectors, min(k, len(vectors)))
    return ScoredSet(neighbor, similarity, np.full_like(similarity, score), "mean", picked, sample_pairs(vectors))


@pytest.fixture(scope="module")
def vectors():
    return identities(30, 8)[0]


@pytest.mark.parametrize("basis", [SINGLETONS, WHOLE_LISTS, FAR_RANKS])
def test_rows_at_right_angles_are_strangers_where_similarities_show_no_more(basis):
    apart = np.eye(60, dtype=np.float32)
    strangers = scored(apart, (0.5, {"basis": basis, "risk": 0.0}))
    assert strangers.has_only_strangers == (basis != FAR_RANKS)


def test_rows_with_relatives_are_no_strangers(vectors):
    assert not scored(vectors, (0.5, {"basis": SINGLETONS, "risk": 0.0})).has_only_strangers


@pytest.mark.parametrize(("basis", "sought"), [(FULL_NEIGHBORHOODS, False), (FAR_RANKS, True)])
def test_no_valley_is_sought_where_identities_fill_the_lists(vectors, basis, sought):
    full = scored(vectors, (-1.0, {"basis": basis, "risk": 1.0}))
    assert full.is_full
    with mock.patch.object(valley, "eta_of", return_value=0.7) as eta_of:
        assert full.valley(0.4) == (0.7 if sought else None)
    assert [call.args[2:] for call in eta_of.mock_calls] == [("mean", 0.4)] * sought


def test_no_valley_is_sought_among_few_rows(vectors):
    with mock.patch.object(valley, "eta_of", return_value=0.7):
        assert scored(vectors[:FEWEST_NEIGHBORS]).valley(0.4) is None
        assert scored(vectors[: FEWEST_NEIGHBORS + 1]).valley(0.4) == 0.7


def test_the_limit_of_the_set_is_compared_before_that_of_the_model(vectors):
    mixed = scored(vectors)
    by_model = agreement.contradiction(mixed.similarity, mixed.score, CLEAR, 0.4, False)
    assert by_model is not None
    assert mixed.contradiction(0.4, None) == by_model
    nothing_passes = agreement.contradiction(mixed.similarity, mixed.score, CLEAR, 0.95, True)
    assert mixed.contradiction(0.4, 0.95) == nothing_passes != by_model


def test_a_limit_above_all_scores_loses_the_pairs_above_the_threshold(vectors):
    assert scored(vectors).loses_pairs_at(0.95)
    assert not scored(vectors).loses_pairs_at(0.9)


def test_a_threshold_that_is_a_quantile_shows_no_losses(vectors):
    assert scored(vectors, (0.6, {"basis": CROWDED, "risk": 0.95})).loses_pairs_at(0.9)
