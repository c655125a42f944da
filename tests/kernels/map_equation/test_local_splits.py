"""Splits, and components that are best whole."""

import numpy as np

from raycluster.kernels.map_equation.local_moves import Problem
from raycluster.kernels.map_equation.local_splits import pieces, split, whole_components, within
from support.living_graphs import apart_of, cost, network_of, pairs_of


def problem(links, nodes, frozen=(), groups=()):
    fixed = np.zeros(nodes, bool)
    fixed[list(frozen)] = True
    return Problem(network_of(links, nodes), fixed, apart_of(groups, nodes))


CLIQUES = {(a, b): 1.0 for a, b in pairs_of(20) if a // 10 == b // 10}
BRIDGED = {**CLIQUES, (9, 10): 1.0}
TWO = np.repeat([0, 1], 10).astype(np.int32)
ONE = np.zeros(20, np.int32)


def test_a_community_of_two_cliques_is_split():
    np.testing.assert_array_equal(split(problem(BRIDGED, 20), ONE, 10.0), TWO)
    np.testing.assert_array_equal(split(problem(BRIDGED, 20), ONE, 100.0), ONE)


def test_pieces_without_a_link_are_parted_whatever_mu_is():
    np.testing.assert_array_equal(split(problem(CLIQUES, 20), ONE, 100.0), TWO)
    np.testing.assert_array_equal(pieces(problem(CLIQUES, 20), ONE), TWO)
    np.testing.assert_array_equal(pieces(problem(BRIDGED, 20), ONE), ONE)


def test_a_community_with_a_frozen_node_stays_whole():
    np.testing.assert_array_equal(split(problem(CLIQUES, 20, frozen=[3]), ONE, 10.0), ONE)
    np.testing.assert_array_equal(pieces(problem(CLIQUES, 20, frozen=[3]), ONE), ONE)


def test_a_ring_that_no_single_merge_helps_becomes_one():
    """A ring of 7 at a mu where pairs lose and the whole gains."""
    links = {(min(a, b), max(a, b)): 1.0 for a in range(7) for b in [(a + 1) % 7]}
    one, alone = problem(links, 7), np.arange(7, dtype=np.int32)
    better = [mu for mu in np.arange(0.5, 6, 0.25) if cost(one.network, np.zeros(7), mu) < cost(one.network, alone, mu)]
    mu = better[0]
    assert whole_components(one, alone, mu).max() == 0
    assert whole_components(problem(links, 7, groups=[[0, 4]]), alone, mu).max() == 6
    assert whole_components(problem(links, 7, frozen=[2]), alone, mu).max() == 6
    assert whole_components(one, alone, better[0] - 0.25).max() == 6


def test_links_within_communities():
    nodes = np.flatnonzero(TWO[19] == TWO).astype(np.int32)
    network = within(network_of(BRIDGED, 20), nodes, TWO)
    rows = network.rows
    kept = {
        (int(nodes[a]), int(nodes[b]))
        for a in range(len(nodes))
        for b in rows.neighbor[rows.start[a] : rows.start[a + 1]]
    }
    assert kept == {pair for a, b in CLIQUES for pair in ((a, b), (b, a)) if pair[0] in nodes}
    np.testing.assert_array_equal(network.exit, network_of(BRIDGED, 20).exit[nodes])
