"""The best move of one node and what it changes, against communities counted anew."""

import numpy as np
import pytest

from raycluster.kernels.map_equation.best_move import graph_of
from raycluster.kernels.map_equation.local_move import (
    ALONE,
    STAY,
    Scratch,
    best_move,
    carry_out,
    communities_of,
    rules_of,
)
from raycluster.kernels.map_equation.local_terms import community_flows
from support.living_graphs import apart_of, cost, network_of, planted_links

MU, NODES = 9.0, 40


@pytest.fixture(scope="module")
def network():
    return network_of(planted_links(8, 5, 160, 1), NODES)


def situation(network, seed, groups=(), value=None):
    """Random communities 0..19, of which some are empty, and the arguments of kernels."""
    membership = np.random.default_rng(seed).integers(0, 10, NODES).astype(np.int32)
    apart = apart_of([list(group) for group in groups], NODES, value)
    size, flows = np.bincount(membership, minlength=20), community_flows(network, membership, 20)
    communities = communities_of(membership, size, flows, apart.value)
    scratch = Scratch(np.zeros(20), np.empty(NODES, np.int32), np.zeros(20, np.int64))
    return rules_of(apart, np.arange(NODES, dtype=np.int32)), communities, scratch


def cost_after(network, membership, node, to):
    after = membership.copy()
    after[node] = to
    return cost(network, np.unique(after, return_inverse=True)[1], MU)


@pytest.mark.parametrize("seed", range(3))
def test_no_other_move_costs_less(network, seed):
    rules, communities, scratch = situation(network, seed)
    targets = set()
    for node in range(NODES):
        membership = communities.membership
        own = int(membership[node])
        to, _, _ = best_move(node, node, node + 1, graph_of(network), rules, communities, MU, -1.0, scratch)
        start, stop = network.rows.start[node : node + 2]
        near = set(membership[network.rows.neighbor[start:stop]].tolist()) - {own}
        costs = {STAY: cost_after(network, membership, node, own), ALONE: cost_after(network, membership, node, 19)}
        costs |= {community: cost_after(network, membership, node, community) for community in near}
        assert costs[to] == pytest.approx(min(costs.values()), abs=1e-6)
        assert not scratch.sums.any()
        targets.add(min(int(to), 0))
    assert 0 in targets


def test_a_community_with_another_of_its_group_or_another_value_is_no_target(network):
    rules, communities, scratch = situation(network, 0)
    node, to = next(
        (node, to)
        for node in range(NODES)
        if (to := best_move(node, node, node + 1, graph_of(network), rules, communities, MU, -1.0, scratch)[0]) >= 0
    )
    other = int(np.flatnonzero(communities.membership == to)[0])
    value = np.full((NODES, 1), -1, np.int32)
    value[[node, other]] = [[3], [4]]
    for case in ({"groups": [[node, other]]}, {"value": value}):
        rules, communities, scratch = situation(network, 0, **case)
        assert best_move(node, node, 1, graph_of(network), rules, communities, MU, -1.0, scratch)[0] != to


def test_a_move_leaves_what_counting_anew_gives(network):
    value = np.random.default_rng(3).integers(-1, 3, (NODES, 2)).astype(np.int32)
    rules, communities, scratch = situation(network, 1)
    communities = communities_of(
        communities.membership, communities.size, community_flows(network, communities.membership, 20), value
    )
    total, moved = float(communities.enter.sum()), 0
    for node in range(NODES):
        to, to_own, to_target = best_move(
            node, node, node + 1, graph_of(network), rules, communities, MU, total, scratch
        )
        if to >= 0:
            total = carry_out(node, to, to_own, to_target, graph_of(network), value, communities, total)
            moved += 1
    membership = communities.membership
    anew = communities_of(
        membership, np.bincount(membership, minlength=20), community_flows(network, membership, 20), value
    )
    assert moved > 5
    np.testing.assert_array_equal(communities.size, anew.size)
    np.testing.assert_array_equal(communities.holders, anew.holders)
    for column, expected in zip(communities[2:5], anew[2:5], strict=True):
        np.testing.assert_allclose(column, expected, atol=1e-9)
    assert total == pytest.approx(anew.enter.sum())
