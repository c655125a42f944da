"""Local moving shortens the code, ends where no move gains, and does not depend on threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.map_equation import moves
from raycluster.kernels.map_equation.aggregate import numbered
from raycluster.kernels.map_equation.moves import move, useful_threads
from support.graphs import code, module_flows, network, planted_links, random_links

DIRECTED = pytest.mark.parametrize("directed", [False, True])


def moved(graph, membership=None, threads=1, enough=0.0):
    """Membership after the moves, and what `move` returns."""
    membership = np.arange(graph.nodes, dtype=np.int32) if membership is None else membership.copy()
    result = move(graph, membership, module_flows(graph, membership), threads, enough)
    return membership, *result


@DIRECTED
@settings(max_examples=30, deadline=None)
@given(st.integers(2, 16), st.integers(2, 60), st.integers(0, 10**6), st.booleans())
def test_no_move_to_a_neighbors_module_or_a_new_one_is_left_that_shortens_the_code(directed, nodes, links, seed, alone):
    graph = network(random_links(nodes, links, seed), nodes, directed)
    start = np.random.default_rng(seed).integers(0, 4, nodes)
    start = (np.arange(nodes) if alone else start).astype(np.int32)
    numbered(start)
    membership, count, is_done, modules = moved(graph, start)
    shortest = code(graph, membership)
    assert shortest <= code(graph, start) + 1e-6
    assert count > 0 or (membership == start).all()
    np.testing.assert_allclose(modules, module_flows(graph, membership), atol=1e-9)
    # The sum over enter couples all modules, so that a move may become worth its while far away: start anew from there.
    while count > 0:
        membership, count, is_done, _ = moved(graph, membership)
    shortest = code(graph, membership)
    if is_done:
        for node in range(nodes):
            neighbors = graph.rows.neighbor[graph.rows.start[node] : graph.rows.start[node + 1]]
            for target in {membership.max() + 1, *membership[neighbors].tolist()}:
                after = membership.copy()
                after[node] = target
                assert code(graph, np.unique(after, return_inverse=True)[1]) > shortest - 1e-5


@DIRECTED
def test_modules_are_numbered_by_their_lowest_node(directed):
    graph = network(planted_links(6, 10, 600, 0), 60, directed)
    membership, _, _, modules = moved(graph)
    _, first = np.unique(membership, return_index=True)
    assert (np.diff(first) > 0).all()
    assert len(modules.flow) == membership.max() + 1


@pytest.mark.slow
@DIRECTED
@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6))
def test_threads_change_nothing(directed, seed):
    graph = network(planted_links(30, 12, 3000, seed, within=0.6), 360, directed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moves, "LINKS_A_THREAD", 1)
        one, two = moved(graph, threads=1), moved(graph, threads=2)
    np.testing.assert_array_equal(one[0], two[0])
    assert one[1:3] == two[1:3]
    np.testing.assert_array_equal(one[3], two[3])


def test_a_pass_that_gains_too_little_is_the_last():
    graph = network(planted_links(30, 12, 3000, 1, within=0.6), 360)
    _, many, is_done, _ = moved(graph)
    _, few, stopped, _ = moved(graph, enough=100.0)
    assert is_done
    assert few < many
    assert not stopped


def test_a_thread_needs_enough_links_and_there_are_never_more_than_the_most():
    assert useful_threads(0, 4) == 1
    assert useful_threads(moves.LINKS_A_THREAD, 4) == 2
    assert useful_threads(10**9, 4) == 4
    assert useful_threads(10**9, 100) == moves.MOST_THREADS
