"""Regions of a graph as problems of their own."""

import itertools

import numpy as np

from raycluster.kernels.map_equation.local_terms import community_flows, terms
from raycluster.kernels.map_equation.region import condense
from support.living_graphs import apart_of, cost, network_of, planted_links

MEMBERSHIP = np.repeat(np.arange(6), 5).astype(np.int32)
HELD = np.full((6, 0), -1, np.int32)


def region_of(communities, groups=(), value=None, held=HELD):
    network = network_of(planted_links(6, 5, 120, 1, within=0.6), 30)
    flows = community_flows(network, MEMBERSHIP, 6)
    nodes = np.flatnonzero(np.isin(MEMBERSHIP, communities)).astype(np.int32)
    return network, condense(network, nodes, MEMBERSHIP, flows, apart_of(groups, 30, value), held)


def test_terms_of_the_region_are_those_of_the_graph():
    network, region = region_of([1, 4])
    num, frozen = len(region.nodes), len(region.around)
    assert sorted(region.around.tolist()) == [0, 2, 3, 5]
    assert region.problem.frozen.tolist() == [False] * num + [True] * frozen
    local = np.concatenate([np.repeat([0, 1], 5), 2 + np.arange(frozen)]).astype(np.int32)
    own = terms(community_flows(region.problem.network, local, 2 + frozen), 4.0)
    whole = terms(community_flows(network, MEMBERSHIP, 6), 4.0)
    np.testing.assert_allclose(own, whole[[1, 4, *region.around]])


def test_a_move_into_a_frozen_community_costs_what_it_costs_in_the_graph():
    network, region = region_of([1, 4])
    num, frozen = len(region.nodes), len(region.around)
    local = np.concatenate([np.repeat([0, 1], 5), 2 + np.arange(frozen)]).astype(np.int32)
    moved, there = local.copy(), MEMBERSHIP.copy()
    moved[0], there[5] = local[num], region.around[0]
    before, after = (cost(region.problem.network, one, 4.0) for one in (local, moved))
    np.testing.assert_allclose(after - before, cost(network, there, 4.0) - cost(network, MEMBERSHIP, 4.0))


def test_rules_reach_around_the_region():
    value = np.full((30, 1), -1, np.int32)
    value[7] = 5
    held = np.arange(6, dtype=np.int32)[:, None]
    _, region = region_of([1], [[5, 9], [6, 12], [20, 21]], value, held)
    num, apart = len(region.nodes), region.problem.apart
    seat = num + region.around.tolist().index(2)
    groups = [set(apart.member[a:b].tolist()) for a, b in itertools.pairwise(apart.first)]
    assert groups == [{0, 4}, {1, seat}]
    assert apart.value[:num, 0].tolist() == [-1, -1, 5, -1, -1]
    assert apart.value[num:, 0].tolist() == region.around.tolist()
