"""Exact similarities and canonical order, against exactly rounded sums and sorting in plain Python."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.search.dot import dot_float64
from raycluster.kernels.search.ordering import (
    ascending_integers,
    canonical_order,
    exact_similarities,
    kth_score,
    rank_candidates,
    rank_crowded,
    rounding_band,
    similarities_of_stored,
)
from support.data import assert_same, awkward_rows, brute_force_top_k, unit_rows


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=80), st.data())
def test_the_kth_score_is_that_of_a_sort(values, data):
    scores = np.array(values, np.float32)
    k = data.draw(st.integers(1, len(scores)))
    assert kth_of(scores, k) == np.sort(scores)[len(scores) - k]
    whole = (scores * 1000).astype(np.int32)
    assert kth_of(whole, k) == np.sort(whole)[len(scores) - k]
    np.testing.assert_array_equal(
        np.argsort(ascending_integers(scores + 0), kind="stable"), np.argsort(scores, kind="stable")
    )


@numba.njit
def kth_of(scores, k):
    return kth_score(scores, k)


@numba.njit
def of_stored(query, database, slots, out):
    similarities_of_stored(query, database, slots, out)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 1, width=16), min_size=1, max_size=40))
def test_rows_of_float16_are_widened_exactly(values):
    rows = np.array([values, values[::-1]], np.float16)
    query, slots = unit_rows(1, len(values), 0)[0], np.array([1, 0])
    expected, found = np.empty((2, 2), np.float32)
    exact_similarities(query, rows.astype(np.float32), slots, expected)
    of_stored(query, rows.view(np.uint16), slots, found)
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("width", [1, 7, 64, 513])
def test_rounding_band_bounds_the_error_of_a_float32_product(width):
    vectors = unit_rows(200, width, width)
    exact = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    running = np.zeros((200, 200), np.float32)
    for i in range(width):
        running += vectors[:, i, None] * vectors[:, i]
    assert np.abs(running - exact).max() <= rounding_band(width)
    assert np.abs(vectors @ vectors.T - exact).max() <= rounding_band(width)


def test_rank_candidates_orders_any_subset_in_any_order_given():
    database = awkward_rows("duplicates", 80, 10, 1)
    ids = np.random.default_rng(0).permutation(80)[:50].astype(np.int32)
    neighbor, similarity = np.full(7, -1, np.int32), np.full(7, -1, np.float32)
    rank_candidates(database[3], 3, database, ids, neighbor, similarity)
    allowed = np.isin(np.arange(80), ids)[None]
    expected = brute_force_top_k(database[3:4], [3], database, 7, allowed)
    assert_same((neighbor[None], similarity[None]), expected)


def test_similarities_are_float32_and_at_most_one():
    database = (1.001 * unit_rows(6, 16, 0)).astype(np.float32)
    out = np.empty(2, np.float32)
    exact_similarities(database[0], database, np.array([0, 3]), out)
    assert out[0] == 1
    assert out[1] == np.float32(dot_float64(database[0], database[3]))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 20), st.integers(1, 12), st.integers(-1, 25), st.integers(0, 10**6))
def test_canonical_order_sorts_by_similarity_then_row_and_puts_the_own_row_first(count, k, own, seed):
    rng = np.random.default_rng(seed)
    ids = rng.permutation(25)[:count].astype(np.int32)
    scores = (rng.integers(0, 5, count) / 4).astype(np.float32)
    neighbor, similarity = np.full(k, -1, np.int32), np.full(k, -1, np.float32)
    canonical_order(ids, scores, own, neighbor, similarity)
    ranked = sorted((-float(score), int(row)) for score, row in zip(scores, ids, strict=True) if row != own)
    expected = ([(own, 1.0)] if own >= 0 else []) + [(row, -score) for score, row in ranked]
    expected = (expected + [(-1, -1.0)] * k)[:k]
    assert list(zip(neighbor.tolist(), similarity.tolist(), strict=True)) == expected


def test_copies_of_a_crowded_vector_are_scanned_once_and_each_leaves_out_itself():
    database = np.concatenate([np.repeat(unit_rows(1, 8, 0), 5, axis=0), unit_rows(6, 8, 1)])
    everything, scans = np.arange(11, dtype=np.int32), []

    def candidates_of(row):
        scans.append(int(row))
        return everything

    own = np.array([0, 3, -1, 7], np.int32)
    queries = database[[0, 3, 1, 7]]
    neighbor, similarity = np.full((4, 4), -1, np.int32), np.full((4, 4), -1, np.float32)
    rank_crowded(queries, own, database, np.array([0, 1, 2, 3]), candidates_of, neighbor, similarity)
    assert scans == [0, 3]
    assert neighbor[:3].tolist() == [[0, 1, 2, 3], [3, 0, 1, 2], [0, 1, 2, 3]]
    assert_same((neighbor, similarity), brute_force_top_k(queries, own, database, 4))
