"""The law of the far ranks on planted dimensions, and the risk on rows whose background is known."""

import numpy as np
import pytest

from raycluster.limits.background import GRID_STEP, HIGHEST, Background, grid_from, lost_and_wrong, shares_beside


def planted(rows, k, dimension, strangers, seed=0):
    """Similarities (rows, k), the row itself first, of strangers whose number within d grows like d^dimension."""
    distance = 1.2 * np.random.default_rng(seed).random((rows, strangers)) ** (1 / dimension)
    near = np.sort(1 - distance, axis=1)[:, ::-1][:, : k - 1]
    return np.hstack([np.ones((rows, 1)), near]).astype(np.float32)


@pytest.mark.parametrize("dimension", [2, 6, 20])
@pytest.mark.parametrize(("first", "last"), [(1, 79), (20, 79), (8, 32)])
def test_the_dimension_of_the_law_is_found_from_any_ranks(dimension, first, last):
    background = Background.fit(planted(3000, 80, dimension, 400), first, last)
    assert np.median(background.dimension) == pytest.approx(dimension, rel=0.1)


def test_the_law_gives_the_strangers_nearer_than_a_threshold_within_a_quarter():
    similarity = planted(3000, 80, 6, 400)
    background = Background.fit(similarity, 20, 79)
    for threshold in np.quantile(similarity[:, 5], [0.2, 0.8]):
        found = (similarity[:, 1:] >= threshold).sum(axis=1).mean()
        assert background.expected(float(threshold)).mean() == pytest.approx(found, rel=0.25)
    assert (background.expected(float(similarity.min()) - 0.01) == 79).all()
    assert (background.expected(1.0) < 1e-9).all()


def test_copies_of_a_row_have_a_law_too():
    similarity = np.ones((5, 20), np.float32)
    background = Background.fit(similarity, 5, 19)
    assert np.isfinite(background.dimension).all()
    assert np.isfinite(shares_beside(similarity, background, np.arange(0, 0.99, 0.1))).all()


def test_risk_counts_rows_that_lose_all_true_neighbors_and_rows_that_strangers_outweigh():
    strangers = planted(4000, 60, 8, 2000)
    true = np.random.default_rng(1).uniform(0.8, 0.95, (4000, 3))
    similarity = np.sort(np.hstack([strangers, true]), axis=1)[:, ::-1][:, :60].astype(np.float32)
    grid = np.arange(0, 0.99, 0.0125)
    curve = np.sum(shares_beside(similarity, Background.fit(similarity, 15, 59), grid), axis=0)
    lost = [(true < threshold).all(axis=1).mean() for threshold in grid]
    assert curve[grid > 0.85] == pytest.approx(np.array(lost)[grid > 0.85], abs=0.02)
    assert curve[(grid > 0.72) & (grid < 0.78)].max() < 0.05
    assert curve[0] > 0.8


def test_the_grid_starts_at_random_pairs_or_0_and_is_never_empty():
    grid = grid_from(0.2)
    assert grid[0] == pytest.approx(0.2)
    assert grid[-1] < HIGHEST
    assert np.diff(grid) == pytest.approx(GRID_STEP)
    assert grid_from(-0.2)[0] == 0
    assert grid_from(0.995, 0.985).tolist() == [0.985]
    assert grid_from(0.1, 0.3)[-1] < 0.3


def test_the_reading_of_less_risk_counts_and_both_shares_lie_in_0_to_1():
    similarity, grid = planted(1000, 80, 8, 2000), grid_from(0.0)
    lost, wrong = lost_and_wrong(similarity, grid)
    risks = [
        float(np.sum(shares_beside(similarity, Background.fit(similarity, first, last), grid), axis=0).min())
        for first, last in ((20, 79), (8, 32))
    ]
    assert (lost + wrong).min() == min(risks)
    assert min(lost.min(), wrong.min()) >= 0
    assert max(lost.max(), wrong.max()) <= 1
