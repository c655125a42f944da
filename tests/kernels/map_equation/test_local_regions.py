"""Regions solved again, and communities that a split would improve, against the cost of the whole partition."""

import numpy as np
import pytest

from raycluster.kernels.map_equation.local_regions import solve_region, splitting
from raycluster.kernels.map_equation.local_state import State
from support.living_graphs import apart_of, cost, network_of, pairs_of, planted_links

MU = 9.0


@pytest.fixture(scope="module")
def network():
    """120 nodes in ten planted groups."""
    return network_of(planted_links(10, 12, 600, 0), 120)


def two_groups_at_a_time(network):
    """Each community holds two planted groups, but the last two, which hold one."""
    group = np.arange(120) // 12
    return State(network, np.where(group < 8, group // 2, group - 4).astype(np.int32), None, apart_of([], 120))


def test_communities_of_two_groups_gain_by_a_split(network):
    state = two_groups_at_a_time(network)
    before = state.membership.copy()
    assert splitting(state, np.arange(state.count), MU).tolist() == [0, 1, 2, 3]
    assert splitting(state, np.array([1, 5]), None).tolist() == [1]
    assert splitting(state, np.array([4, 5]), MU).tolist() == splitting(state, np.empty(0, np.int64), MU).tolist() == []
    np.testing.assert_array_equal(state.membership, before)


def test_a_split_community_costs_less(network):
    state = two_groups_at_a_time(network)
    before = state.membership.copy()
    nodes = state.members(np.array([2]))
    changed, joined = solve_region(state, nodes, MU, is_first=False)
    assert len(changed) >= 2
    assert len(joined) == 0
    away = np.setdiff1d(np.arange(120), nodes)
    np.testing.assert_array_equal(state.membership[away], before[away])
    assert cost(network, np.unique(state.membership, return_inverse=True)[1], MU) < cost(network, before, MU)
    assert len(np.unique(state.membership[nodes[:12]])) == 1
    assert state.membership[nodes[0]] != state.membership[nodes[-1]]


def test_no_nodes_change_nothing(network):
    state = two_groups_at_a_time(network)
    changed, joined = solve_region(state, np.empty(0, np.int32), None, is_first=True)
    assert len(changed) == len(joined) == 0


def test_the_first_region_cuts_what_breaks_rules(network):
    state = State(network, (np.arange(120) // 12).astype(np.int32), None, apart_of([[0, 1]], 120))
    solve_region(state, state.members(np.array([0])), MU, is_first=True)
    assert state.apart.violations(state.membership) == 0


def solved(links, nodes, is_thorough):
    """Communities of a graph that was one community."""
    state = State(network_of(links, nodes), np.zeros(nodes, np.int32), None, apart_of([], nodes))
    solve_region(state, np.arange(nodes, dtype=np.int32), 10.0, is_first=True, is_thorough=is_thorough)
    return np.unique(state.membership, return_inverse=True)[1].tolist()


def test_a_quick_solve_splits_only_what_falls_apart():
    cliques = {(a, b): 1.0 for a, b in pairs_of(20) if a // 10 == b // 10}
    bridged, two = {**cliques, (9, 10): 1.0}, [0] * 10 + [1] * 10
    assert solved(cliques, 20, is_thorough=False) == two
    assert solved(bridged, 20, is_thorough=False) == [0] * 20
    assert solved(bridged, 20, is_thorough=True) == two
