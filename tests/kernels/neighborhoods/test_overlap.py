"""Sums over common neighbors against dictionaries; rows gathered for a call against all rows in place."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.neighborhoods import overlap
from raycluster.kernels.neighborhoods.overlap import Neighborhoods, overlaps
from support.data import neighbor_table
from support.edge_tables import TABLES


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
        if rank < length[i]:
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
    lists = Neighborhoods(neighbor, weight, None, None if step is None else length, step or 1)
    found = overlaps(lists, 0, len(neighbor), product=product)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, brute_force(neighbor, weight, counted, product), rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(TABLES, st.booleans(), st.booleans(), st.integers(0, 60), st.integers(1, 5000))
def test_rows_gathered_for_a_call_give_the_bits_of_all_rows_in_place(table, product, truncated, cut, entries):
    neighbor, weight, length = random_case(table)
    start, stop = min(cut, len(neighbor)) // 2, len(neighbor)
    needed = np.random.default_rng(cut).random((stop - start, neighbor.shape[1])) < 0.6

    def halved(rows):
        return rows / np.float32(2)

    for is_needed in (None, needed):
        in_place = Neighborhoods(neighbor, halved(weight), None, length if truncated else None, 3)
        expected = overlaps(in_place, start, stop, product=product, is_needed=is_needed, threads=1)
        with mock.patch.object(overlap, "GATHERED_ENTRIES", entries):
            lists = Neighborhoods(neighbor, weight, halved, length if truncated else None, 3)
            found = overlaps(lists, start, stop, product=product, is_needed=is_needed, threads=2)
        np.testing.assert_array_equal(found, expected)


def test_no_row_is_converted_that_is_not_read():
    neighbor = np.array([[0, 1], [1, 0], [2, 3], [3, 2], [4, 2]], np.int32)
    weight = np.full((5, 2), 0.5, np.float32)
    weight[4] = np.nan
    converted = []

    def convert(rows):
        converted.append(len(rows))
        assert not np.isnan(rows).any()
        return rows

    found = overlaps(Neighborhoods(neighbor, weight, convert), 0, 2, product=False)
    assert found.tolist() == [[1, 1], [1, 1]]
    overlaps(Neighborhoods(neighbor, weight, convert), 2, 4, product=True, is_needed=np.eye(2, dtype=bool)[::-1] < 0)
    assert converted == [2, 2]


def test_no_rows_and_a_row_alone():
    neighbor = np.array([[0, -1, -1]], np.int32)
    weight = np.array([[1, 0, 0]], np.float32)
    for convert in (None, np.copy):
        lists = Neighborhoods(neighbor, weight, convert)
        assert overlaps(lists, 1, 1, product=False).shape == (0, 3)
        assert overlaps(lists, 0, 1, product=False).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_lengths_of_any_integer_type(dtype):
    neighbor, weight, length = random_case((30, 12, 5, False))
    expected = overlaps(Neighborhoods(neighbor, weight, None, length, 5), 0, 30, product=False)
    found = overlaps(Neighborhoods(neighbor, weight, None, length.astype(dtype), 5), 0, 30, product=False)
    np.testing.assert_array_equal(found, expected)
