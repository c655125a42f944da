"""What a set tells of itself: read without labels, the same for any order of rows, plain numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from raycluster.kernels.search.nearest import exact_top_k
from raycluster.models import set_statistics
from raycluster.models.set_statistics import LEAST_CONTRAST, MOST_BACKGROUND, RANKS, SETTING, SetStatistics
from support.data import identities

K = 48


@pytest.fixture(scope="module")
def made():
    vectors, _ = identities(150, 4, width=48, spread=0.6)
    return vectors, *exact_top_k(vectors, np.arange(len(vectors), dtype=np.int32), vectors, K)


def test_it_lies_between_strangers_and_identities_and_travels_in_json(made):
    vectors, neighbor, similarity = made
    found = SetStatistics.measure(neighbor, similarity, vectors)
    assert abs(found.background) < 0.02
    assert found.spread == pytest.approx(48**-0.5, rel=0.1)
    assert similarity[:, 5].mean() < found.threshold < similarity[:, 1:4].mean()
    assert len(found.setting) == SETTING
    assert SetStatistics.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_profiles_are_quantiles_in_units_of_the_scale(made):
    vectors, neighbor, similarity = made
    found = SetStatistics.measure(neighbor, similarity, vectors)
    told = np.array(found.setting[: 5 * len(RANKS)]).reshape(5, len(RANKS)) + 1
    contrast = found.threshold - found.background
    expected = np.quantile((similarity[:, RANKS] - found.background) / contrast, set_statistics.QUANTILES, axis=0)
    np.testing.assert_allclose(told, expected, atol=1e-5)
    returned = found.setting[-len(set_statistics.RETURN_RANKS) :]
    for share, rank in zip(returned, set_statistics.RETURN_RANKS, strict=True):
        there = [i in neighbor[neighbor[i, rank], : set_statistics.RETURN_DEPTH] for i in range(len(neighbor))]
        assert share == pytest.approx(np.mean(there), abs=1e-5)


def test_it_knows_no_order_of_rows(made):
    vectors, neighbor, similarity = made
    order = np.random.default_rng(0).permutation(len(vectors))
    place = np.argsort(order).astype(np.int32)
    one, other = (
        SetStatistics.measure(neighbor, similarity, vectors),
        SetStatistics.measure(place[neighbor[order]], similarity[order], vectors),
    )
    assert one == other


def test_a_threshold_near_the_background_is_held_apart_from_it():
    vectors = np.random.default_rng(0).normal(size=(400, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    neighbor, similarity = exact_top_k(vectors, np.arange(400, dtype=np.int32), vectors, K)
    found = SetStatistics.measure(neighbor, similarity, vectors)
    assert found.threshold >= found.background + LEAST_CONTRAST * found.spread


def padded(vectors, length):
    """Unit rows with a constant beside them of `length` times a row."""
    wide = np.hstack([vectors, np.full((len(vectors), 1), length, np.float32)])
    return (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)


def test_a_centered_set_shares_nothing_and_is_read_as_it_is(made):
    vectors, neighbor, similarity = made
    found = SetStatistics.measure(neighbor, similarity, vectors)
    assert found.shared == 0
    np.testing.assert_array_equal(found.without_shared(similarity), similarity)


def test_constant_dimensions_of_any_length_are_read_as_one_and_the_same_set(made):
    vectors, neighbor, similarity = made
    least = SetStatistics.measure(neighbor, similarity * np.float32(0.8) + np.float32(0.2), padded(vectors, 0.5))
    for length in (1.0, 3.0):
        moved = padded(vectors, length)
        found = SetStatistics.measure(*exact_top_k(moved, np.arange(len(moved), dtype=np.int32), moved, K), moved)
        assert found.shared > least.shared
        assert found.background == pytest.approx(MOST_BACKGROUND)
        assert found.spread == pytest.approx(least.spread, rel=1e-3)
        assert found.threshold == pytest.approx(least.threshold, abs=0.02)
        np.testing.assert_allclose(found.setting, least.setting, atol=0.15)
        assert found.without_shared(1.0) == 1
        raw = (np.float32(length) ** 2 + similarity) / (1 + np.float32(length) ** 2)
        np.testing.assert_allclose(found.without_shared(raw), similarity * 0.8 + 0.2, atol=0.01)
        strangers = set_statistics.lengths(raw, found)
        np.testing.assert_array_equal(
            strangers, set_statistics.lengths(found.without_shared(raw), replace(found, shared=0.0))
        )


@pytest.mark.parametrize("k", [K, 40, 12])
def test_no_neighbor_above_the_limit_of_strangers_is_left_out(made, k):
    vectors, neighbor, similarity = made
    found = SetStatistics.measure(neighbor, similarity, vectors)
    floor = found.background + set_statistics.STRANGERS * (found.threshold - found.background)
    last = np.array([0.5, 15.5, 19.5, 20.5, 25.5, 39.5, 45.5])
    rows = (floor + 0.01 * (last[:, None] - np.arange(k))).astype(np.float32)
    length = set_statistics.lengths(rows, found)
    for row, kept in zip(rows, length, strict=True):
        assert kept in (*set_statistics.LENGTHS, k)
        assert (row[kept:] < floor).all()
        assert not any(each < kept and (row[each:] < floor).all() for each in set_statistics.LENGTHS if each < k)
