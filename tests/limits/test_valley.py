"""The limit that a set's scores show: the density against brute force, its valleys on densities whose floors are known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.limits import valley
from raycluster.limits.valley import BINS, SCORES, density, eta_of, limit
from support.data import neighbor_table
from support.edge_tables import COMBINE, random_scores


def hill(score: float, height: float, width: float = 0.03) -> np.ndarray:
    """A density (BINS,) that is highest at `score`."""
    angle = 2 / math.pi * np.arcsin(np.sqrt(SCORES))
    return height * np.exp(-(((angle - 2 / math.pi * math.asin(math.sqrt(score))) / width) ** 2) / 2)


def brute_density(neighbor, score, combine):
    rows, k = neighbor.shape
    found = np.zeros(BINS)
    expected = np.maximum(np.nansum(score.astype(np.float64), axis=1), 1)
    for i in range(rows):
        for rank in range(1, k):
            j = neighbor[i, rank]
            back = [r for r in range(k) if neighbor[j, r] == i] if j >= 0 else []
            ends = [score[i, rank]] + [score[j, r] for r in back]
            ends = [end for end in ends if not np.isnan(end)]
            if j < 0 or not ends:
                continue
            value = ends[0] if len(ends) == 1 else COMBINE[combine](*ends)
            if value > 0:
                place = int(2 / math.pi * math.asin(math.sqrt(float(value))) * BINS)
                found[min(place, BINS - 1)] += 1 / min(expected[i], expected[j])
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from(list(COMBINE)), st.floats(0, 0.5))
def test_the_density_is_that_of_brute_force(seed, combine, missing):
    neighbor, _ = neighbor_table(30, 8, seed, short=True)
    score = random_scores(neighbor, seed, missing)
    np.testing.assert_allclose(density(neighbor, score, combine), brute_density(neighbor, score, combine), atol=1e-9)


def test_large_sets_are_counted_by_evenly_chosen_rows(monkeypatch):
    rng = np.random.default_rng(0)
    neighbor = np.column_stack([np.arange(100), rng.permutation(100)]).astype(np.int32)
    score = np.column_stack([np.full(100, np.nan), rng.random(100)]).astype(np.float32)
    score[::4, 1] = 1.0
    monkeypatch.setattr(valley, "MAX_ROWS", 25)
    found = density(neighbor, score, "maximum")
    assert found.sum() == pytest.approx(25)
    assert found[-1] == pytest.approx(25)


@pytest.mark.parametrize("between", [0.3, 0.5, 0.8])
def test_the_limit_is_where_few_pairs_lie_whatever_the_model_was_calibrated_to(between):
    strangers, same = hill(between**2 / 2, 100), hill(1 - (1 - between) ** 2 / 2, 30)
    found = limit(strangers + same + 0.1, 0.55)
    assert strangers[np.abs(SCORES - found).argmin()] < 1
    assert same[np.abs(SCORES - found).argmin()] < 1


def test_of_several_valleys_the_nearest_counts():
    two = hill(0.05, 100) + hill(0.45, 20) + hill(0.97, 20) + 0.1
    assert 0.1 < limit(two, 0.2) < 0.4
    assert 0.5 < limit(two, 0.8) < 0.95


@pytest.mark.parametrize("near", [0.35, 0.5, 0.65])
@pytest.mark.parametrize("dent", [0.4, 0.6])
def test_of_a_flat_floor_the_place_nearest_to_the_models_limit_counts(near, dent):
    flat = hill(0.05, 100) + hill(0.97, 50) + 10 - hill(dent, 0.05)
    found = limit(flat, near)
    assert (
        np.abs(SCORES - found).argmin()
        == np.abs(np.arcsin(np.sqrt(SCORES)) - math.asin(near**0.5)).argmin() + valley.ABOVE
    )
    deep = hill(0.05, 100) + hill(0.97, 50) + 10 - hill(dent, 5)
    assert limit(deep, near) == pytest.approx(limit(deep, 0.5), abs=0.06)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 1.0), st.integers(0, 2**16))
def test_a_limit_lies_in_the_range_of_scores(near, seed):
    rng = np.random.default_rng(seed)
    found = limit(hill(0.05, 100) + hill(0.97, 50) + rng.random(BINS), near)
    assert found is None or valley.LOWEST < found < 1


def test_scores_that_fall_off_evenly_show_none_nor_does_a_mere_dent():
    even = np.exp(-np.arange(BINS) / 30.0)
    assert limit(100 * even, 0.55) is None
    assert limit(100 * even + hill(0.7, 1.0), 0.55) is None
    assert limit(100 * even + hill(0.7, 30.0), 0.55) is not None
    assert limit(np.zeros(BINS), 0.55) is None


def test_a_valley_needs_strangers_below_it():
    assert limit(hill(0.3, 10) + hill(0.9, 100) + 4, 0.55) is None
    assert limit(hill(0.3, 10) + hill(0.9, 100) + 0.5, 0.55) is not None


def test_planted_identities_are_told_from_strangers():
    rng = np.random.default_rng(1)
    identity = np.repeat(np.arange(100), 6)
    others = np.stack([rng.choice(600, 12, replace=False) for _ in range(600)])
    same = np.stack([np.flatnonzero(identity == each) for each in identity])
    neighbor = np.concatenate([np.arange(600)[:, None], same, others], axis=1).astype(np.int32)
    truth = identity[neighbor] == identity[:, None]
    score = np.where(truth, rng.beta(6, 2, neighbor.shape), rng.beta(1, 12, neighbor.shape)).astype(np.float32)
    score[:, 0] = np.nan
    score[neighbor == np.arange(600)[:, None]] = np.nan
    found = eta_of(neighbor, score, "mean", 0.5)
    assert 0.2 < found < 0.6
