"""Pairs whose similarity reaches a threshold, against a loop over all pairs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.edge_rules import threshold_edges
from raycluster.kernels.search.nearest import exact_top_k
from support.data import awkward_rows, neighbor_table
from support.edge_tables import TABLES, assert_equal_columns, elsewhere, pairs_of, shards_of, stacked


@settings(max_examples=50, deadline=None)
@given(TABLES, st.floats(-1.1, 1))
def test_threshold_pairs_equal_the_union_of_both_directions_each_once(table, floor):
    neighbor, similarity = neighbor_table(*table)
    expected = {}
    for i, line in enumerate(neighbor.tolist()):
        for rank, j in enumerate(line):
            if j >= 0 and j != i and similarity[i, rank] >= np.float32(floor):
                expected[min(i, j), max(i, j)] = similarity[i, rank]
    found = threshold_edges(0, len(neighbor), neighbor, similarity, floor)
    pairs = pairs_of(found)
    assert len(pairs) == len(set(pairs))
    assert dict(zip(pairs, found["weight"], strict=True)) == expected
    np.testing.assert_array_equal(found["similarity"], found["weight"])
    assert np.isnan(found["nep"]).all()
    assert np.isnan(found["score"]).all()


def test_a_pair_that_only_the_higher_row_lists_is_kept():
    neighbor = np.array([[0, 1], [1, 0], [2, 0]], np.int32)
    similarity = np.array([[1, 0.9], [1, 0.9], [1, 0.7]], np.float32)
    found = threshold_edges(0, 3, neighbor, similarity, 0.5)
    assert found["source"].tolist() == [0, 0]
    assert found["target"].tolist() == [1, 2]


def test_crowds_of_identical_rows_give_each_pair_once():
    vectors = awkward_rows("duplicates", 80, 8, 0)
    neighbor, similarity = exact_top_k(vectors, np.arange(80, dtype=np.int32), vectors, 6)
    found = threshold_edges(0, 80, neighbor, similarity, 0.99)
    listed = {(min(i, j), max(i, j)) for i, line in enumerate(neighbor.tolist()) for j in line if i != j}
    close = {(i, j) for i, j in listed if (vectors[i] == vectors[j]).all()}
    assert sorted(pairs_of(found)) == sorted(close)


@settings(max_examples=25, deadline=None)
@given(TABLES, st.floats(-1.1, 1), st.integers(0, 1000))
def test_shards_stack_to_the_whole_and_read_no_row_but_their_own_and_its_neighbors(table, floor, seed):
    neighbor, similarity = neighbor_table(*table)
    parts = []
    for start, stop in shards_of(len(neighbor), seed):
        away = elsewhere(neighbor, start, stop)
        other_neighbor, other_similarity = neighbor.copy(), similarity.copy()
        other_neighbor[away], other_similarity[away] = 0, np.nan
        parts.append(threshold_edges(start, stop, other_neighbor, other_similarity, floor))
    assert_equal_columns(stacked(parts), threshold_edges(0, len(neighbor), neighbor, similarity, floor))


@settings(max_examples=40, deadline=None)
@given(TABLES, st.floats(-0.2, 1), st.integers(0, 10**6))
def test_ranks_past_the_first_below_do_not_count_even_where_one_of_them_is_above(table, floor, seed):
    neighbor, similarity = neighbor_table(*table)
    similarity = np.random.default_rng(seed).permuted(similarity, axis=1)
    reached = np.logical_and.accumulate(similarity >= np.float32(floor), axis=1)
    cut = np.where(reached, similarity, np.float32(-2))
    found = threshold_edges(0, len(neighbor), neighbor, similarity, floor)
    assert_equal_columns(found, threshold_edges(0, len(neighbor), neighbor, cut, floor))
