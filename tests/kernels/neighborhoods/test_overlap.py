"""Sums over common neighbors, against dictionaries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.neighborhoods.overlap import Neighborhoods, overlaps
from support.data import neighbor_table
from support.edge_tables import TABLES, elsewhere, shards_of


def random_case(table):
    """neighbor and weight (N, K) and lengths (N,) of a case of TABLES."""
    neighbor, _ = neighbor_table(*table)
    rng = np.random.default_rng(table[2])
    weight = np.where(neighbor >= 0, rng.random(neighbor.shape), 0).astype(np.float32)
    return neighbor, weight, rng.integers(1, neighbor.shape[1] + 1, len(neighbor))


def brute_force(neighbor, weight, length, product):
    k = neighbor.shape[1]
    lists = [
        {int(h): float(w) for h, w in zip(neighbor[i, :n], weight[i, :n], strict=True) if h >= 0}
        for i, n in enumerate(length)
    ]
    mass = [1.0 if n == k else sum(weight[i, :n].astype(float)) for i, n in enumerate(length)]
    out = np.zeros(neighbor.shape)
    for i, rank in np.argwhere(neighbor >= 0):
        j = neighbor[i, rank]
        common = lists[i].keys() & lists[j].keys()
        if product:
            out[i, rank] = sum(lists[i][h] * lists[j][h] for h in common)
        else:
            out[i, rank] = sum(lists[i][h] + lists[j][h] for h in common) / (mass[i] + mass[j])
    return out


@settings(max_examples=40, deadline=None)
@given(TABLES, st.booleans(), st.sampled_from([None, 1, 4, 10]))
def test_sums_over_common_neighbors_equal_those_over_sets(table, product, step):
    neighbor, weight, length = random_case(table)
    k = neighbor.shape[1]
    counted = np.full(len(neighbor), k) if step is None else np.minimum(k, -(-length // step) * step)
    lists = Neighborhoods(neighbor, weight, None if step is None else length, step or 1)
    found = overlaps(lists, 0, len(neighbor), product=product)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, brute_force(neighbor, weight, counted, product), rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(TABLES, st.booleans(), st.booleans(), st.integers(0, 1000))
def test_shards_stack_to_the_whole_and_read_no_row_but_their_own_and_its_neighbors(table, product, truncated, seed):
    neighbor, weight, length = random_case(table)
    length = length if truncated else None
    whole = overlaps(Neighborhoods(neighbor, weight, length, 3), 0, len(neighbor), product=product, threads=1)
    parts = []
    for start, stop in shards_of(len(neighbor), seed):
        away = elsewhere(neighbor, start, stop)
        others = neighbor.copy(), weight.copy()
        others[0][away], others[1][away] = 0, np.nan
        parts.append(overlaps(Neighborhoods(*others, length, 3), start, stop, product=product, threads=2))
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@settings(max_examples=20, deadline=None)
@given(TABLES, st.booleans())
def test_pairs_that_are_not_needed_are_zero(table, product):
    neighbor, weight, _ = random_case(table)
    is_needed = np.random.default_rng(table[2]).random(neighbor.shape) < 0.6
    lists = Neighborhoods(neighbor, weight)
    whole = overlaps(lists, 0, len(neighbor), product=product)
    found = overlaps(lists, 0, len(neighbor), product=product, is_needed=is_needed)
    np.testing.assert_array_equal(found, np.where(is_needed, whole, 0))


def test_no_rows_and_a_row_alone():
    neighbor = np.array([[0, -1, -1]], np.int32)
    weight = np.array([[1, 0, 0]], np.float32)
    lists = Neighborhoods(neighbor, weight)
    assert overlaps(lists, 1, 1, product=False).shape == (0, 3)
    assert overlaps(lists, 0, 1, product=False).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_lengths_of_any_integer_type(dtype):
    neighbor, weight, length = random_case((30, 12, 5, False))
    expected = overlaps(Neighborhoods(neighbor, weight, length, 5), 0, 30, product=False)
    found = overlaps(Neighborhoods(neighbor, weight, length.astype(dtype), 5), 0, 30, product=False)
    np.testing.assert_array_equal(found, expected)
