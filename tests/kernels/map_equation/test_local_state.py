"""Communities that change: numbers, members and flows stay in step."""

import numpy as np
import pytest

from raycluster.kernels.map_equation.local_state import State
from raycluster.kernels.map_equation.local_terms import community_flows
from support.living_graphs import apart_of, network_of, planted_links


@pytest.fixture
def state():
    membership = np.array([0, 0, 1, 1, 1, 2, -1, -1], np.int32)
    return State(network_of(planted_links(2, 4, 14, 0), 8), membership, None, apart_of([], 8))


def assert_in_step(state):
    for community in range(state.count):
        expected = np.flatnonzero(state.membership == community)
        np.testing.assert_array_equal(state.members(np.array([community])), expected)
        assert state.size[community] == len(expected)
    for column, expected in zip(
        state.flows, community_flows(state.network, state.membership, state.count), strict=True
    ):
        np.testing.assert_allclose(column, expected, atol=1e-9)


def test_new_nodes_start_alone(state):
    assert state.membership[6:].tolist() == [3, 4]
    assert_in_step(state)


def test_a_set_that_stays_keeps_its_number_and_others_get_new_ones(state):
    nodes = state.members(np.array([0, 1]))
    state.place_among_themselves(nodes, np.array([0, 0, 1, 1, 2], np.int32))
    assert state.membership.tolist() == [0, 0, 5, 5, 6, 2, 3, 4]
    assert_in_step(state)


def test_nodes_join_a_community_outside(state):
    nodes = state.members(np.array([1]))
    number = state.place(nodes, np.array([0, 0, 1], np.int32), np.array([2, -1], np.int32))
    assert number.tolist() == [2, 5]
    assert state.membership.tolist() == [0, 0, 2, 2, 5, 2, 3, 4]
    state.set_flows(np.arange(state.count), community_flows(state.network, state.membership, state.count))
    assert_in_step(state)


def test_stored_flows_are_taken_as_they_are():
    network, membership = network_of(planted_links(2, 4, 14, 0), 8), np.repeat([0, 1], 4).astype(np.int32)
    flows = community_flows(network, membership, 2)
    assert_in_step(State(network, membership, flows, apart_of([], 8)))


def test_values_of_communities():
    value = np.array([[3], [-1], [-1], [-1]], np.int32)
    state = State(network_of({(0, 1): 1.0}, 4), np.array([0, 0, 1, 1], np.int32), None, apart_of([], 4, value))
    assert state.values().tolist() == [[3], [-1]]
