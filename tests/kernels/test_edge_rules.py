import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.edge_rules import (
    denser,
    density_peak_edges,
    early_stop_edges,
    gap_edges,
    gap_lengths,
    odds,
    recallable,
    score_edges,
    threshold_edges,
    walked,
)
from raycluster.kernels.search.nearest import exact_top_k
from support.data import awkward_rows, neighbor_table
from support.edge_tables import COLUMNS, COMBINE, TABLES, assert_equal_columns, kept, random_scores, shards_of, stacked


def pairs_of(edges):
    return list(zip(edges["source"].tolist(), edges["target"].tolist(), strict=True))


def nep_table(neighbor, seed, limit):
    """NEP that falls along no order, 0 at empty ranks, often exactly at `limit`."""
    rng = np.random.default_rng(seed)
    nep = np.where(neighbor >= 0, rng.random(neighbor.shape), 0).astype(np.float32)
    nep[rng.random(nep.shape) < 0.1] = np.float32(limit)
    return nep


def as_columns(edges):
    """Rows of (source, target, weight, nep, score, similarity) as columns."""
    return {name: np.array([edge[at] for edge in edges], dtype) for at, (name, dtype) in enumerate(COLUMNS.items())}


def test_odds_grow_with_the_score_and_are_capped():
    score = np.linspace(0, 1, 101, dtype=np.float32)
    found = odds(score)
    assert found.dtype == np.float32
    below = score < 0.96
    np.testing.assert_allclose(found[below], score[below] / (1 - score[below]), rtol=1e-5)
    assert (np.diff(found) >= 0).all()
    assert found[-1] == pytest.approx(32, rel=1e-5)
    np.testing.assert_allclose(odds(score, 3), np.minimum(found, 3), rtol=1e-5)


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


@settings(max_examples=40, deadline=None)
@given(TABLES, st.floats(0, 1))
def test_a_walk_ends_before_the_first_rank_below_or_empty(table, theta):
    neighbor, _ = neighbor_table(*table)
    nep = nep_table(neighbor, table[2], theta)
    expected = np.zeros(neighbor.shape, bool)
    for i in range(len(neighbor)):
        for rank in range(1, neighbor.shape[1]):
            if neighbor[i, rank] < 0 or nep[i, rank] < np.float32(theta):
                break
            expected[i, rank] = True
    found = walked(neighbor, nep, theta)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=40, deadline=None)
@given(TABLES, st.floats(0, 1), st.floats(0, 1))
def test_what_can_be_recalled_lies_after_the_walk_and_not_below_the_floor(table, theta, floor):
    neighbor, _ = neighbor_table(*table)
    nep = nep_table(neighbor, table[2], theta)
    nep[:, ::3] = np.where(neighbor[:, ::3] >= 0, np.float32(floor), 0)
    expected = np.zeros(neighbor.shape, bool)
    for i in range(len(neighbor)):
        walking = True
        for rank in range(1, neighbor.shape[1]):
            there = neighbor[i, rank] >= 0
            walking = walking and there and nep[i, rank] >= np.float32(theta)
            expected[i, rank] = not walking and there and nep[i, rank] >= np.float32(floor)
    found = recallable(neighbor, nep, theta, floor)
    np.testing.assert_array_equal(found, expected)
    assert not (found & walked(neighbor, nep, theta)).any()
    everything = recallable(neighbor, nep, theta, 0.0) | walked(neighbor, nep, theta)
    np.testing.assert_array_equal(everything[:, 1:], neighbor[:, 1:] >= 0)


def test_the_rank_that_ends_the_walk_can_be_recalled_and_the_row_itself_cannot():
    neighbor = np.array([[7, 1, 2, 3, -1]], np.int32)
    nep = np.array([[1.0, 0.5, 0.2, 0.6, 0.0]], np.float32)
    assert walked(neighbor, nep, 0.4).tolist() == [[False, True, False, False, False]]
    assert recallable(neighbor, nep, 0.4, 0.2).tolist() == [[False, False, True, True, False]]
    assert recallable(neighbor, nep, 0.4, 0.3).tolist() == [[False, False, False, True, False]]


@settings(max_examples=40, deadline=None)
@given(TABLES, st.floats(0, 1))
def test_early_stop_edges_are_those_walked_and_weigh_their_nep(table, theta):
    neighbor, similarity = neighbor_table(*table)
    nep = nep_table(neighbor, table[2], theta)
    start = 1000
    expected = [
        (start + i, neighbor[i, rank], nep[i, rank], nep[i, rank], np.nan, similarity[i, rank])
        for i, rank in np.argwhere(walked(neighbor, nep, theta)).tolist()
    ]
    found = early_stop_edges(start, neighbor, similarity, nep, theta, None, np.inf)
    assert_equal_columns(found, as_columns(expected))


@settings(max_examples=40, deadline=None)
@given(TABLES, st.floats(0, 1), st.floats(-0.2, 1), st.sampled_from([0.0, 0.5, 1.0]))
def test_recalled_edges_are_scored_ranks_outside_the_walk_and_weigh_their_score(table, theta, eta, missing):
    neighbor, similarity = neighbor_table(*table)
    nep = nep_table(neighbor, table[2], theta)
    score = random_scores(neighbor, table[2], missing)
    given_nep, given_score = nep.copy(), score.copy()
    on_the_way = walked(neighbor, nep, theta)
    start, expected = 30, []
    for i, rank in np.argwhere(neighbor >= 0).tolist():
        known = (start + i, neighbor[i, rank], nep[i, rank], similarity[i, rank])
        if on_the_way[i, rank]:
            expected.append((*known[:2], nep[i, rank], known[2], np.nan, known[3]))
        elif score[i, rank] >= np.float32(eta):
            expected.append((*known[:2], score[i, rank], known[2], score[i, rank], known[3]))
    found = early_stop_edges(start, neighbor, similarity, nep, theta, score, eta)
    assert_equal_columns(found, as_columns(expected))
    np.testing.assert_array_equal(nep, given_nep)
    np.testing.assert_array_equal(score, given_score)
    walk = kept(found, np.isnan(found["score"]))
    assert_equal_columns(walk, early_stop_edges(start, neighbor, similarity, nep, theta, None, np.inf))


@settings(max_examples=25, deadline=None)
@given(TABLES, st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
def test_early_stop_edges_of_row_shards_stack_to_the_whole(table, theta, eta, seed):
    neighbor, similarity = neighbor_table(*table)
    nep, score = nep_table(neighbor, table[2], theta), random_scores(neighbor, table[2], 0.3)

    def of(start, stop):
        rows = slice(start, stop)
        return early_stop_edges(start, neighbor[rows], similarity[rows], nep[rows], theta, score[rows], eta)

    whole = of(0, len(neighbor))
    assert_equal_columns(whole, stacked([of(*shard) for shard in shards_of(len(neighbor), seed)]))


def brute_force_score_edges(neighbor, similarity, score, floor, combine):
    """Pairs with their weight and similarity, from what every row says of every neighbor it lists."""
    said = {}
    for i, line in enumerate(neighbor.tolist()):
        for rank, j in enumerate(line):
            if j >= 0 and not np.isnan(score[i, rank]):
                said[i, j] = (score[i, rank], similarity[i, rank])
    expected = {}
    for (i, j), (forth, cosine) in said.items():
        weight = COMBINE[combine](forth, said[j, i][0]) if (j, i) in said else forth
        if weight >= np.float32(floor) and weight > 0:
            expected[min(i, j), max(i, j)] = (weight, cosine)
    return expected


def assert_scored(found, expected):
    pairs = pairs_of(found)
    assert len(pairs) == len(set(pairs))
    assert dict(zip(pairs, zip(found["weight"], found["similarity"], strict=True), strict=True)) == expected
    assert_equal_columns({**found, "nep": np.full_like(found["weight"], np.nan), "score": found["weight"]}, found)


@settings(max_examples=60, deadline=None)
@given(TABLES, st.floats(-0.2, 1), st.sampled_from(list(COMBINE)))
def test_scored_pairs_equal_a_loop_over_what_each_end_says(table, floor, combine):
    neighbor, similarity = neighbor_table(*table)
    score = random_scores(neighbor, table[2])
    found = score_edges(0, len(neighbor), neighbor, similarity, score, floor, combine)
    assert_scored(found, brute_force_score_edges(neighbor, similarity, score, floor, combine))


@settings(max_examples=60, deadline=None)
@given(TABLES, st.floats(-0.2, 1), st.sampled_from(list(COMBINE)))
def test_an_end_with_nan_says_nothing_whichever_end_it_is(table, floor, combine):
    neighbor, similarity = neighbor_table(*table)
    score = random_scores(neighbor, table[2], missing=0.4)
    found = score_edges(0, len(neighbor), neighbor, similarity, score, floor, combine)
    assert_scored(found, brute_force_score_edges(neighbor, similarity, score, floor, combine))


@pytest.mark.parametrize(("combine", "weight"), [("mean", 0.5), ("geometric", 0.4), ("minimum", 0.2), ("maximum", 0.8)])
def test_both_ends_are_combined_and_a_pair_listed_once_has_the_score_of_its_end(combine, weight):
    neighbor = np.array([[0, 1], [1, 0], [2, 0]], np.int32)
    similarity = np.array([[1, 0.9], [1, 0.9], [1, 0.7]], np.float32)
    score = np.array([[np.nan, 0.8], [np.nan, 0.2], [np.nan, 0.9]], np.float32)
    found = score_edges(0, 3, neighbor, similarity, score, 0.1, combine)
    assert pairs_of(found) == [(0, 1), (0, 2)]
    assert found["weight"].tolist() == pytest.approx([weight, 0.9])
    assert pairs_of(score_edges(0, 3, neighbor, similarity, score, weight + 0.01, combine)) == [(0, 2)]


def test_where_nothing_is_scored_or_all_scores_are_zero_there_is_no_edge():
    neighbor, similarity = neighbor_table(20, 6, 0)
    for value in (np.nan, 0.0):
        found = score_edges(0, 20, neighbor, similarity, np.full(neighbor.shape, value, np.float32), -1.0, "mean")
        assert_equal_columns(found, as_columns([]))


@settings(max_examples=25, deadline=None)
@given(TABLES, st.floats(0, 1), st.integers(0, 1000), st.sampled_from(list(COMBINE)))
def test_scored_edges_of_row_shards_stack_to_the_whole(table, floor, seed, combine):
    neighbor, similarity = neighbor_table(*table)
    score = random_scores(neighbor, table[2], missing=0.2)

    def of(start, stop):
        return score_edges(start, stop, neighbor, similarity, score, floor, combine)

    whole = of(0, len(neighbor))
    assert_equal_columns(whole, stacked([of(*shard) for shard in shards_of(len(neighbor), seed)]))


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


def tied(shape, seed):
    """Values in 0..1 of which many are equal."""
    return (np.random.default_rng(seed).integers(0, 9, shape) / 8).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(TABLES, st.floats(-0.1, 1))
def test_a_density_peak_edge_leads_to_the_closest_denser_neighbor_ties_to_the_lower_row(table, floor):
    neighbor, similarity = neighbor_table(*table)
    density, closeness = tied(len(neighbor), table[2]), tied(neighbor.shape, table[2] + 1)
    expected = []
    for i, line in enumerate(neighbor.tolist()):
        ranked = [
            (-closeness[i, rank], j, rank)
            for rank, j in enumerate(line)
            if j >= 0 and j != i and (density[j], -j) > (density[i], -i)
        ]
        if ranked and -min(ranked)[0] > np.float32(floor):
            far, j, rank = min(ranked)
            expected.append((i, j, -far, np.nan, np.nan, similarity[i, rank]))
    found = density_peak_edges(0, neighbor, similarity, denser(0, neighbor, density), closeness, floor)
    assert_equal_columns(found, as_columns(expected))


@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_density_peak_edges_are_trees_with_one_root_each(table):
    neighbor, similarity = neighbor_table(*table)
    density, closeness = tied(len(neighbor), table[2]), tied(neighbor.shape, table[2] + 1)
    found = density_peak_edges(0, neighbor, similarity, denser(0, neighbor, density), closeness, -1.0)
    assert len(set(found["source"].tolist())) == len(found["source"])
    parent = np.arange(len(neighbor))
    parent[found["source"]] = found["target"]
    for _ in range(len(neighbor)):
        parent = parent[parent]
    assert (parent[parent] == parent).all()
    components = len(neighbor) - len(found["source"])
    assert len(np.unique(parent)) == components


def test_of_equally_dense_rows_all_join_the_lowest_and_a_row_without_neighbors_is_a_root():
    neighbor = np.array([[0, 1, 2], [1, 2, 0], [2, 1, 0], [3, -1, -1]], np.int32)
    similarity = np.full(neighbor.shape, 0.5, np.float32)
    even = np.ones(4, np.float32)
    close = np.where(neighbor >= 0, 0.5, 0).astype(np.float32)
    found = density_peak_edges(0, neighbor, similarity, denser(0, neighbor, even), close, 0.3)
    assert pairs_of(found) == [(1, 0), (2, 0)]
    assert found["weight"].tolist() == [0.5, 0.5]


def test_an_edge_needs_more_than_the_limit():
    neighbor = np.array([[0, 1], [1, 0]], np.int32)
    close = np.array([[1, 0.5], [1, 0.5]], np.float32)
    uphill = denser(0, neighbor, np.array([1, 2], np.float32))
    assert pairs_of(density_peak_edges(0, neighbor, close, uphill, close, 0.49)) == [(0, 1)]
    assert pairs_of(density_peak_edges(0, neighbor, close, uphill, close, 0.5)) == []
    assert pairs_of(density_peak_edges(0, neighbor, close, uphill, np.zeros_like(close), 0.0)) == []
