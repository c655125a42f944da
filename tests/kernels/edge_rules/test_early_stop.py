"""The walk on NEP, what can be recalled after it, and the edges of both."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.edge_rules import early_stop_edges, recallable, walked
from support.data import neighbor_table
from support.edge_tables import TABLES, as_columns, assert_equal_columns, kept, random_scores, shards_of, stacked


def nep_table(neighbor, seed, limit):
    """NEP that falls along no order, 0 at empty ranks, often exactly at `limit`."""
    rng = np.random.default_rng(seed)
    nep = np.where(neighbor >= 0, rng.random(neighbor.shape), 0).astype(np.float32)
    nep[rng.random(nep.shape) < 0.1] = np.float32(limit)
    return nep


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
