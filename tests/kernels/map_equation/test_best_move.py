"""The best move of one node, against the code of every partition that one move leads to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.map_equation.best_move import NEW, STAY, Modules, Scratch, best_move, graph_of
from raycluster.kernels.map_equation.moves import LEAST_GAIN
from raycluster.kernels.map_equation.terms import put
from support.graphs import code, module_flows, network, random_links, weights


def situation(graph, membership):
    """Arguments of `best_move` besides the node, for a partition whose modules are 0, 1, ..."""
    nodes = graph.nodes
    state = np.zeros((nodes, 8))
    modules = module_flows(graph, membership)
    for number, columns in enumerate(zip(*modules, strict=True)):
        put(state[number], *columns)
    size = np.bincount(membership, minlength=nodes).astype(np.int32)
    partition = Modules(membership.copy(), size, state, np.empty(nodes, np.int32))
    rows = graph.rows
    scratch = Scratch(np.zeros(nodes), np.empty(len(rows.neighbor) + 1, np.int32))
    return graph_of(graph), partition, float(modules.enter.sum()), LEAST_GAIN * float(graph.flow.sum()), scratch


def random_situation(nodes, links, seed, directed):
    graph = network(random_links(nodes, links, seed), nodes, directed)
    membership = np.random.default_rng(seed).integers(0, 4, nodes)
    membership = np.unique(membership, return_inverse=True)[1].astype(np.int32)
    return graph, membership


@pytest.mark.slow
@pytest.mark.parametrize("directed", [False, True])
@settings(max_examples=60, deadline=None)
@given(st.integers(2, 14), st.integers(3, 60), st.integers(0, 10**6))
def test_no_move_makes_a_shorter_code(directed, nodes, links, seed):
    graph, membership = random_situation(nodes, links, seed, directed)
    node = int(np.random.default_rng(seed + 1).integers(0, nodes))
    arguments = situation(graph, membership)
    target, to_own, to_target, met = best_move(node, *arguments)
    matrix = weights(graph.rows, nodes)
    neighbors = {int(membership[other]) for other in np.flatnonzero(matrix[node])} - {int(membership[node])}
    codes = {STAY: code(graph, membership)}
    for module in neighbors:
        after = membership.copy()
        after[node] = module
        codes[module] = code(graph, np.unique(after, return_inverse=True)[1])
    if (membership == membership[node]).sum() > 1:
        after = membership.copy()
        after[node] = membership.max() + 1
        codes[NEW] = code(graph, after)
    assert codes[target] == pytest.approx(min(codes.values()), abs=1e-5 if directed else 1e-9)
    own = (membership == membership[node]) & (np.arange(nodes) != node)
    assert to_own == pytest.approx(matrix[node, own].sum(), rel=1e-9)
    if target >= 0:
        assert to_target == pytest.approx(matrix[node, membership == target].sum(), rel=1e-9)
    assert not met
    assert not arguments[-1].sums.any()


def test_a_neighbor_in_the_batch_is_noticed_and_counts_as_where_it_is():
    graph, membership = random_situation(10, 40, 3, False)
    plain = best_move(0, *situation(graph, membership))
    arguments = situation(graph, membership)
    batch = arguments[1].membership
    batch[0] = ~batch[0]
    assert best_move(0, *arguments) == plain
    other = int(graph.rows.neighbor[0])
    batch[other] = ~batch[other]
    assert best_move(0, *arguments) == (*plain[:3], True)


def test_of_equal_modules_the_lowest_wins_whatever_the_order_of_links():
    for order in ([1, 2], [2, 1]):
        links = np.array([0, 0], np.int32), np.array(order, np.int32), np.ones(2, np.float32)
        graph = network(links, 3)
        target, _, to_target, _ = best_move(0, *situation(graph, np.array([2, 0, 1], np.int32)))
        assert (target, to_target) == (0, 1)
