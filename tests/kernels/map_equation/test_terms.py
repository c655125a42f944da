"""Changes of the map equation where a node moves, against the code written anew; the bound never exceeds them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.map_equation.terms import (
    ENTER,
    g,
    joining_bound,
    joining_change,
    leaving_change,
    log2,
    put,
    term,
)
from support.graphs import code, module_flows, network, random_links, weights


def state_of(flow, leaving, entering):
    """The state (8,) of a module."""
    state = np.zeros(8)
    put(state, flow, leaving, entering)
    return state


def test_x_log_x_is_zero_at_zero_and_below():
    assert g(0.0) == g(-1e-18) == log2(0.0) == 0
    assert g(8.0) == 24
    assert g(0.25) == -0.5
    assert log2(8.0) == 3


@pytest.mark.parametrize(("leaving", "entering"), [(0.3, 0.3), (0.3, 0.2), (0.0, 0.4), (0.0, 0.0)])
def test_a_modules_terms_are_those_of_the_formula(leaving, entering):
    assert term(0.5, leaving, entering) == pytest.approx(g(leaving + 0.5) - g(leaving) - g(entering))


@pytest.mark.parametrize("directed", [False, True])
@settings(max_examples=60, deadline=None)
@given(st.integers(3, 15), st.integers(5, 60), st.integers(0, 10**6))
def test_leaving_and_joining_are_the_difference_of_two_codes(directed, nodes, links, seed):
    graph = network(random_links(nodes, links, seed), nodes, directed)
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 3, nodes).astype(np.int32)
    before[:3] = [0, 1, 2]
    node, to = int(rng.integers(0, nodes)), int(rng.integers(0, 3))
    if before[node] == to or (before == before[node]).sum() == 1:
        return
    after = before.copy()
    after[node] = to
    modules = module_flows(graph, before)
    states = [state_of(*columns) for columns in zip(*modules, strict=True)]
    matrix = weights(graph.rows, nodes)
    others = np.arange(nodes) != node
    to_own = matrix[node, (before == before[node]) & others].sum()
    to_target = matrix[node, before == to].sum()
    own = (graph.flow[node], graph.exit[node], graph.enter[node])
    total = sum(state[ENTER] for state in states)
    change = leaving_change(states[before[node]], *own, to_own, total)
    rest = total - own[2] + 2 * to_own
    change += joining_change(states[to], *own, to_target, rest)
    unit = graph.flow.sum()
    # Directed weights are float32: exits are off by as much, and slightly negative ones count as 0 in a code.
    assert change / unit == pytest.approx(code(graph, after) - code(graph, before), abs=1e-5 if directed else 1e-9)


@settings(max_examples=200, deadline=None)
@given(
    st.floats(1e-9, 1), st.floats(1e-9, 1), st.floats(1e-9, 1), st.floats(1e-9, 1), st.floats(0, 0.5), st.floats(1, 9)
)
def test_the_bound_is_never_above_the_change(flow, leaving, entering, size, weight, total):
    state = state_of(size, size * 0.7, size * 0.9)
    bound = joining_bound(state, flow, leaving, entering, weight, total, math.log2(total))
    exact = joining_change(state, flow, leaving, entering, weight, total)
    assert not bound > exact + 1e-10


def test_the_bound_is_near_for_light_nodes_and_rules_nothing_out_where_it_does_not_hold():
    state = state_of(0.5, 0.2, 0.2)
    exact = joining_change(state, 1e-6, 1e-6, 1e-6, 1e-7, 2.0)
    assert joining_bound(state, 1e-6, 1e-6, 1e-6, 1e-7, 2.0, 1.0) == pytest.approx(exact, abs=1e-10)
    assert joining_bound(state, 0.1, 0.1, 0.1, 0.06, 2.0, 1.0) == -np.inf
    without_exit = joining_bound(state_of(0.5, 0.0, 0.0), 0.1, 0.1, 0.1, 0.01, 2.0, 1.0)
    assert not without_exit > -np.inf
