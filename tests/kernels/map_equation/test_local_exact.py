"""The exact solver of small components."""

import itertools

import networkx
import numpy as np
import pytest

from raycluster.kernels.map_equation.local_exact import small_components, solve_small
from support.living_graphs import apart_of, best_cost, cost, network_of, pairs_of, planted_links

NODES = np.arange(40, dtype=np.int32)


def test_components_up_to_the_limit_are_found():
    rng = np.random.default_rng(0)
    links = {pair: 1.0 for pair in pairs_of(40) if rng.random() < 0.03}
    graph = networkx.Graph(list(links))
    graph.add_nodes_from(range(40))
    for largest in (0, 1, 3, 8):
        first, nodes = small_components(network_of(links, 40), NODES, largest)
        found = sorted(nodes[a:b].tolist() for a, b in itertools.pairwise(first))
        assert found == sorted(sorted(one) for one in networkx.connected_components(graph) if len(one) <= largest)


def test_only_components_of_the_nodes_are_found():
    first, nodes = small_components(network_of({(0, 1): 1.0, (2, 3): 1.0}, 40), np.array([3], np.int32))
    assert (first.tolist(), nodes.tolist()) == ([0, 2], [2, 3])


@pytest.mark.slow
@pytest.mark.parametrize("mu", [0.5, 2.0, 3.5, 6.0])
def test_it_finds_the_best_of_all_partitions(mu):
    for seed in range(8):
        links = planted_links(2, 4, 14, seed, within=0.7)
        network = network_of(links, 8)
        first, nodes = small_components(network, np.arange(8, dtype=np.int32))
        for apart in (apart_of([], 8), apart_of([[0, 1, 5], [2, 3]], 8)):
            lowest = np.empty(8, np.int32)
            lowest[nodes] = solve_small(network, first, nodes, apart, np.full(len(first) - 1, mu))
            membership = np.unique(lowest, return_inverse=True)[1]
            assert apart.violations(membership) == 0
            assert cost(network, membership, mu) == pytest.approx(best_cost(network, apart, mu), abs=1e-9)
            assert (lowest <= np.arange(8)).all()
