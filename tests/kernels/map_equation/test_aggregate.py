"""The network of modules, against products of dense matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.map_equation.aggregate import module_network, numbered
from support.graphs import module_flows, network, random_links, weights

CASES = st.tuples(st.integers(1, 20), st.integers(1, 60), st.integers(0, 10**6))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=30))
def test_modules_are_numbered_by_their_lowest_node(old):
    membership = np.array(old, np.int32)
    kept = numbered(membership)
    seen = list(dict.fromkeys(old))
    assert kept.tolist() == seen
    assert membership.tolist() == [seen.index(module) for module in old]
    assert numbered(membership).tolist() == list(range(len(seen)))


@pytest.mark.parametrize("directed", [False, True])
@settings(max_examples=30, deadline=None)
@given(CASES, st.integers(1, 6), st.integers(1, 4))
def test_links_between_modules_are_the_sums_of_those_of_their_nodes(directed, case, modules, tasks):
    nodes, _, seed = case
    graph = network(random_links(*case), nodes, directed)
    membership = np.random.default_rng(seed).integers(0, modules, nodes).astype(np.int32)
    numbered(membership)
    own = module_flows(graph, membership)
    found = module_network(graph, membership, own, tasks)
    count = len(own.flow)
    one_hot = np.eye(count)[membership]
    expected = one_hot.T @ weights(graph.rows, nodes) @ one_hot
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(weights(found.rows, count), expected, rtol=1e-6, atol=1e-12)
    assert found.flows == own
    for first, last in zip(found.rows.start[:-1], found.rows.start[1:], strict=True):
        row = found.rows.neighbor[first:last].tolist()
        assert len(row) == len(set(row))


def test_one_module_has_no_links():
    graph = network(random_links(8, 30, 0), 8)
    membership = np.zeros(8, np.int32)
    found = module_network(graph, membership, module_flows(graph, membership), 3)
    assert found.rows.start.tolist() == [0, 0]
    assert len(found.rows.neighbor) == 0
