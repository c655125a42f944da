"""Moves and merges at frozen mu."""

import numpy as np
import pytest

from raycluster.kernels.map_equation.local_moves import Problem, climb, move
from raycluster.kernels.map_equation.local_terms import community_flows
from support.living_graphs import apart_of, cost, network_of, pairs_of, planted_links

MU = 9.0


def problem(links, nodes, frozen=(), groups=(), value=None):
    fixed = np.zeros(nodes, bool)
    fixed[list(frozen)] = True
    return Problem(network_of(links, nodes), fixed, apart_of(groups, nodes, value))


@pytest.fixture(scope="module")
def planted():
    return planted_links(20, 10, 900, 0)


def test_moves_end_where_no_node_gains_and_keep_the_flows(planted):
    one = problem(planted, 200)
    membership = np.arange(200, dtype=np.int32)
    moved, flows = move(one, membership, MU)
    assert moved > 100
    for column, expected in zip(flows, community_flows(one.network, membership, 200), strict=True):
        np.testing.assert_allclose(column, expected, atol=1e-9)
    before, rows = cost(one.network, np.unique(membership, return_inverse=True)[1], MU), one.network.rows
    for node in range(0, 200, 7):
        for neighbor in rows.neighbor[rows.start[node] : rows.start[node + 1]]:
            other = membership.copy()
            other[node] = membership[neighbor]
            assert cost(one.network, np.unique(other, return_inverse=True)[1], MU) >= before - 1e-6


def test_frozen_nodes_stay_and_others_join_them(planted):
    one = problem(planted, 200, frozen=range(0, 200, 10))
    found, _ = climb(one, np.arange(200, dtype=np.int32), MU)
    assert len(set(found[::10].tolist())) == 20
    assert (found == np.repeat(found[::10], 10)).mean() > 0.8


def test_merges_go_further_than_moves(planted):
    one = problem(planted, 200)
    membership = np.arange(200, dtype=np.int32)
    move(one, membership, MU)
    found, _ = climb(one, np.arange(200, dtype=np.int32), MU)
    assert cost(one.network, found, MU) <= cost(one.network, np.unique(membership, return_inverse=True)[1], MU)
    first = np.unique(found, return_index=True)[1]
    assert (np.diff(first) > 0).all()


def test_rules_hold_for_moves_and_for_merges():
    links = dict.fromkeys(pairs_of(12), 1.0)
    value = np.full((12, 1), -1, np.int32)
    value[[6, 7]] = [[3], [4]]
    for seed in range(5):
        start = np.random.default_rng(seed).permutation(12).astype(np.int32)
        one = problem(links, 12, groups=[[0, 1, 2], [2, 3]], value=value)
        found, _ = climb(one, start, 40.0)
        assert one.apart.violations(found) == 0
        assert found.max() == 2


def test_where_nothing_merged_another_climb_changes_nothing(planted):
    one, found, ended = problem(planted, 200), np.arange(200, dtype=np.int32), []
    while not ended or not ended[-1]:
        found, is_done = climb(one, found, MU)
        ended.append(is_done)
    assert not ended[0], "single nodes merge into communities"
    again, is_done = climb(one, found, MU)
    np.testing.assert_array_equal(again, found)
    assert is_done


def test_the_start_stays_as_it_is(planted):
    start = np.arange(200, dtype=np.int32)
    climb(problem(planted, 200), start, MU)
    np.testing.assert_array_equal(start, np.arange(200))
