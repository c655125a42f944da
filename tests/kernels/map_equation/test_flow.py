"""Flow of the random walker, against dense matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.map_equation import flow as flows
from raycluster.kernels.map_equation.flow import flow_within
from support.graphs import network, random_links, weights

CASES = st.tuples(st.integers(1, 20), st.integers(1, 60), st.integers(0, 10**6))


def matrix_of(links, nodes):
    """Weights (N, N) from source to target."""
    source, target, weight = links
    matrix = np.zeros((nodes, nodes))
    keep = weight > 0
    np.add.at(matrix, (source[keep], target[keep]), weight[keep].astype(np.float64))
    return matrix


def link_flows(matrix, teleportation=0.15):
    """What flows from row to column per recorded step, by the power of a dense matrix."""
    out = matrix.sum(axis=1)
    landing = out / out.sum()
    step = np.divide(matrix, out[:, None], out=np.zeros_like(matrix), where=out[:, None] > 0)
    everywhere = (1 - teleportation) * (step + np.outer(out == 0, landing)) + teleportation * landing
    rate = landing
    for _ in range(400):
        rate = rate @ everywhere
    flow = rate[:, None] * step
    return flow / flow.sum()


@settings(max_examples=40, deadline=None)
@given(CASES, st.integers(1, 3))
def test_undirected_flow_is_the_weight_of_a_nodes_links_a_self_link_counted_once(case, tasks):
    nodes, _, _ = case
    links = random_links(*case, lightest=-0.5)
    matrix = matrix_of(links, nodes)
    found = network(links, nodes, tasks=tasks)
    both = matrix + matrix.T
    loops = np.diag(matrix).copy()
    np.fill_diagonal(both, 0)
    np.testing.assert_allclose(found.exit, both.sum(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(found.enter, found.exit)
    np.testing.assert_allclose(found.flow, both.sum(axis=1) + loops, rtol=1e-6)
    np.testing.assert_allclose(weights(found.rows, nodes), both, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(CASES, st.integers(1, 3))
def test_directed_flow_is_that_of_the_walker_on_a_matrix(case, tasks):
    nodes, _, _ = case
    links = random_links(*case, lightest=-0.5)
    matrix = matrix_of(links, nodes)
    found = network(links, nodes, directed=True, tasks=tasks)
    if not matrix.any():
        assert not found.flow.any()
        return
    flow = link_flows(matrix)
    np.testing.assert_allclose(found.flow, flow.sum(axis=0), atol=1e-9)
    own = np.diag(flow)
    np.testing.assert_allclose(found.exit, flow.sum(axis=1) - own, atol=1e-9)
    np.testing.assert_allclose(found.enter, flow.sum(axis=0) - own, atol=1e-9)
    half = (flow + flow.T) / 2
    np.fill_diagonal(half, 0)
    np.testing.assert_allclose(weights(found.rows, nodes), half, rtol=1e-5, atol=1e-9)


def test_a_walker_that_always_jumps_visits_nodes_by_their_outgoing_weight():
    links = random_links(12, 60, 0)
    matrix = matrix_of(links, 12)
    found = flows.directed(*links, np.arange(12, dtype=np.int32), 1, teleportation=1.0)
    expected = (matrix / matrix.sum()).sum(axis=0)
    np.testing.assert_allclose(found.flow, expected, atol=1e-9)


@pytest.mark.parametrize("directed", [False, True])
@settings(max_examples=20, deadline=None)
@given(CASES, st.integers(1, 5))
def test_flow_within_modules_is_a_sum_over_the_matrix(directed, case, modules):
    nodes, _, seed = case
    found = network(random_links(*case), nodes, directed)
    membership = np.random.default_rng(seed).integers(0, modules, nodes).astype(np.int32)
    inside = weights(found.rows, nodes) * (membership[:, None] == membership)
    np.testing.assert_allclose(flow_within(found.rows, membership), inside.sum(axis=1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("directed", [False, True])
def test_nodes_take_the_numbers_asked_for(directed):
    links = random_links(15, 70, 1)
    number = np.random.default_rng(0).permutation(15).astype(np.int32)
    make = flows.directed if directed else flows.undirected
    plain, renamed = network(links, 15, directed), make(*links, number, 1)
    np.testing.assert_allclose(renamed.flow[number], plain.flow, rtol=1e-9)
    np.testing.assert_allclose(
        weights(renamed.rows, 15)[np.ix_(number, number)], weights(plain.rows, 15), rtol=1e-6, atol=1e-12
    )
    assert renamed.flows == (renamed.flow, renamed.exit, renamed.enter)
    assert renamed.nodes == 15
