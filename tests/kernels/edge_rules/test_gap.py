"""FaceMap's cut and weights, against loops over the gaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.edge_rules import gap_edges, gap_lengths
from support.data import neighbor_table
from support.edge_tables import TABLES, assert_equal_columns, elsewhere, pairs_of, shards_of, stacked


def brute_force_gap_lengths(similarity, window, z):
    lengths = []
    for row in similarity.astype(np.float64).tolist():
        gaps = [row[rank] - row[rank + 1] for rank in range(1, len(row) - 1)]
        length = len(row)
        for at in range(window, len(gaps)):
            before = gaps[at - window : at]
            mean = sum(before) / window
            std = (sum((gap - mean) ** 2 for gap in before) / window) ** 0.5
            if gaps[at] > mean + z * std:
                length = at + 2
                break
        lengths.append(length)
    return lengths


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(2, 20), st.sampled_from([0.517, 1.03, 3.07]), st.integers(0, 10**6))
def test_gap_lengths_equal_a_loop_over_the_gaps(k, window, z, seed):
    rng = np.random.default_rng(seed)
    steps = rng.integers(0, 64, (25, k)) * np.where(rng.random((25, k)) < 0.1, 16, 1)
    similarity = (1 - np.cumsum(steps, axis=1) / 2**16).astype(np.float32)
    found = gap_lengths(similarity, window, z)
    assert found.dtype == np.int64
    assert found.tolist() == brute_force_gap_lengths(similarity, window, z)


def test_the_gap_before_the_first_stranger_cuts_the_list():
    similarity = np.array([[1, 0.9, 0.88, 0.85, 0.83, 0.4, 0.39]], np.float32)
    assert gap_lengths(similarity, 3, 3.0).tolist() == [5]
    assert gap_lengths(similarity, 5, 3.0).tolist() == [7]


@settings(max_examples=40, deadline=None)
@given(TABLES, st.integers(2, 6), st.sampled_from([0.5, 1.0, 3.0]))
def test_gap_weights_are_shares_of_the_row_sum_added_over_both_ends(table, window, z):
    neighbor, similarity = neighbor_table(*table)
    lengths = gap_lengths(similarity, window, z)
    weight, raw = {}, {}
    for i, length in enumerate(lengths):
        listed = [rank for rank in range(1, length) if neighbor[i, rank] >= 0 and similarity[i, rank] > 0]
        total = sum(float(similarity[i, rank]) for rank in listed)
        for rank in listed:
            j = int(neighbor[i, rank])
            pair = (min(i, j), max(i, j))
            weight[pair] = weight.get(pair, 0) + float(similarity[i, rank]) / total
            raw[pair] = similarity[i, rank]
    found = gap_edges(0, len(neighbor), neighbor, similarity, window, z)
    pairs = pairs_of(found)
    assert len(pairs) == len(set(pairs))
    assert dict(zip(pairs, found["weight"].tolist(), strict=True)) == pytest.approx(weight, rel=1e-5)
    assert dict(zip(pairs, found["similarity"], strict=True)) == raw
    assert np.isnan(found["nep"]).all()
    assert np.isnan(found["score"]).all()


def test_rows_with_no_more_gaps_than_the_window_are_never_cut():
    similarity = np.array([[1, 0.9, 0.1], [1, 1, 1]], np.float32)
    for k in (1, 2, 3):
        assert gap_lengths(similarity[:, :k], 2, 3.0).tolist() == [k, k]


@settings(max_examples=25, deadline=None)
@given(TABLES, st.integers(2, 6), st.sampled_from([-0.5, 0.5, 3.0]), st.integers(0, 1000))
def test_shards_stack_to_the_whole_and_read_no_row_but_their_own_and_its_neighbors(table, window, z, seed):
    neighbor, similarity = neighbor_table(*table)
    parts = []
    for start, stop in shards_of(len(neighbor), seed):
        away = elsewhere(neighbor, start, stop)
        other_neighbor, other_similarity = neighbor.copy(), similarity.copy()
        other_neighbor[away], other_similarity[away] = 0, np.nan
        parts.append(gap_edges(start, stop, other_neighbor, other_similarity, window, z))
    assert_equal_columns(stacked(parts), gap_edges(0, len(neighbor), neighbor, similarity, window, z))
