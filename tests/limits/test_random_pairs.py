"""Random pairs of rows: their cosines, and lists that are nearer than any of them."""

from typing import Any, cast

import numpy as np
import pytest

from raycluster.arrays import Float32
from raycluster.limits.random_pairs import RANDOM_PAIRS, RandomPairs, identities_fill_neighborhoods, sample_pairs


def test_the_spread_of_random_pairs_ignores_same_identity_pairs() -> None:
    rng = np.random.default_rng(0)
    strangers = rng.normal(0.1, 0.05, 90_000)
    mixed = np.concatenate([strangers, rng.normal(0.7, 0.05, 10_000)])
    assert RandomPairs.of(mixed).median == pytest.approx(0.1, abs=0.01)
    assert RandomPairs.of(mixed).spread == pytest.approx(0.05, abs=0.01)


def neighbors_falling(rows, k, first, last, noise, seed=0):
    """Similarities (rows, k), the row itself first, that fall evenly from about `first` to about `last`."""
    rng = np.random.default_rng(seed)
    near = np.linspace(first, last, k - 1) + rng.normal(0, noise, (rows, 1))
    return np.hstack([np.ones((rows, 1)), near]).astype(np.float32)


def test_a_row_of_a_million_stands_out_higher_than_one_of_a_thousand():
    pairs = RandomPairs(0.1, 0.05)
    assert pairs.above_all_but_one(2) == pytest.approx(0.1)
    assert pairs.above_all_but_one(1000) == pytest.approx(0.1 + 0.05 * 3.09, abs=1e-3)
    for rows in (1000, 10**6):
        assert rows * pairs.tail(pairs.above_all_but_one(rows)) == pytest.approx(1)


def test_identities_fill_neighborhoods_that_are_above_random_pairs_and_even():
    pairs = RandomPairs(0.0, 0.1)
    assert identities_fill_neighborhoods(neighbors_falling(200, 40, 0.75, 0.65, 0.01), pairs, 1000)
    uneven = neighbors_falling(200, 40, 0.95, 0.65, 0.01)
    assert not identities_fill_neighborhoods(uneven, pairs, 1000)
    among_strangers = neighbors_falling(200, 40, 0.35, 0.25, 0.01)
    assert not identities_fill_neighborhoods(among_strangers, pairs, 1000)
    some = np.concatenate([neighbors_falling(160, 40, 0.75, 0.65, 0.01), among_strangers[:40]])
    assert not identities_fill_neighborhoods(some, pairs, 1000)


class Counted:
    """Rows that count how many of them are read."""

    def __init__(self, rows: Float32) -> None:
        self._rows, self.shape, self.count = rows, rows.shape, 0

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any) -> Float32:
        self.count += len(rows)
        return self._rows[rows]


def test_each_pair_of_few_wide_rows_is_computed_once() -> None:
    rows = np.random.default_rng(0).standard_normal((20, 4000)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    read = Counted(rows)
    drawn = sample_pairs(cast(Any, read))
    first, second = np.random.default_rng(0).integers(0, 20, (2, RANDOM_PAIRS))
    kept = first != second
    products = np.einsum("nd,md->nm", rows, rows, dtype=np.float64)
    expected = RandomPairs.of(products[first[kept], second[kept]])
    assert drawn.median == pytest.approx(expected.median, abs=1e-6)
    assert drawn.spread == pytest.approx(expected.spread, abs=1e-6)
    assert read.count <= 2 * 20 * 19
