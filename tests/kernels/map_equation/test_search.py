"""The search as a whole: its codelength is that of its partition, and one module wins where nothing else is shorter."""

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.map_equation.moves import move
from raycluster.kernels.map_equation.search import codelength_of, search
from support.graphs import code, module_flows, network, planted_links, random_links

DIRECTED = pytest.mark.parametrize("directed", [False, True])


@DIRECTED
@settings(max_examples=30, deadline=None)
@given(st.integers(1, 25), st.integers(1, 70), st.integers(0, 10**6))
def test_the_codelength_is_that_of_the_partition(directed, nodes, links, seed):
    graph = network(random_links(nodes, links, seed), nodes, directed)
    membership, bits = search(graph, 1)
    assert membership.dtype == np.int32
    assert membership.max() < nodes
    compact = np.unique(membership, return_inverse=True)[1]
    assert bits == pytest.approx(code(graph, compact), abs=1e-6)
    assert bits <= code(graph, np.zeros(nodes, int)) + 1e-9
    assert bits <= code(graph, np.arange(nodes)) + 1e-9


@DIRECTED
@settings(max_examples=30, deadline=None)
@given(st.integers(1, 25), st.integers(1, 70), st.integers(0, 10**6))
def test_codelength_of_is_the_formula_in_any_unit(directed, nodes, links, seed):
    graph = network(random_links(nodes, links, seed), nodes, directed)
    membership = np.unique(np.random.default_rng(seed).integers(0, 4, nodes), return_inverse=True)[1]
    modules = module_flows(graph, membership)
    expected = code(graph, membership)
    assert codelength_of(graph.flow, *modules) == pytest.approx(expected, abs=1e-9)
    assert codelength_of(7 * graph.flow, *(7 * each for each in modules)) == pytest.approx(expected, abs=1e-9)


def test_no_flow_leaves_every_node_alone():
    nothing = np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32)
    membership, bits = search(network(nothing, 4), 1)
    assert membership.tolist() == [0, 1, 2, 3]
    assert bits == 0


def test_a_complete_graph_is_one_module_and_nodes_without_links_are_alone():
    pairs = np.array(networkx.complete_graph(20).edges, np.int32)
    graph = network((pairs[:, 0].copy(), pairs[:, 1].copy(), np.ones(len(pairs), np.float32)), 22)
    membership, bits = search(graph, 1)
    assert len(set(membership[:20].tolist())) == 1
    assert len(set(membership.tolist())) == 3
    assert bits == pytest.approx(np.log2(20))


@DIRECTED
def test_merging_modules_and_moving_single_nodes_again_is_shorter_than_moving_once(directed):
    graph = network(planted_links(40, 25, 12_000, 5, within=0.6), 1000, directed)
    membership = np.arange(1000, dtype=np.int32)
    move(graph, membership, graph.flows, 1, 0.0)
    _, bits = search(graph, 1)
    assert bits < code(graph, membership) - 0.01
