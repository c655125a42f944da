"""Single nodes moved in a large graph, against the cost of every move and the numbers of the state made anew."""

import numpy as np
import pytest

from raycluster.kernels.map_equation.local_gains import moving
from raycluster.kernels.map_equation.local_single import move_singly
from raycluster.kernels.map_equation.local_state import State
from raycluster.kernels.map_equation.local_terms import community_flows
from support.living_graphs import apart_of, cost, network_of, planted_links

NODES = 240


@pytest.fixture(scope="module")
def network():
    """240 nodes in twenty planted groups."""
    return network_of(planted_links(20, 12, 1100, 0), NODES)


def state_of(network, share, seed=0, groups=(), value=None):
    """Planted groups, of which some nodes lie elsewhere."""
    rng = np.random.default_rng(seed)
    membership = np.arange(NODES) // 12
    away = rng.random(NODES) < share
    membership[away] = rng.integers(0, 20, away.sum())
    return State(network, membership.astype(np.int32), None, apart_of([list(one) for one in groups], NODES, value))


def require_consistent(state):
    """Members, sizes and flows are those of the communities."""
    other = State(state.network, state.membership, None, state.apart)
    np.testing.assert_array_equal(state.size[: other.count], other.size)
    for number in np.unique(state.membership).tolist():
        np.testing.assert_array_equal(state.members(np.array([number])), np.flatnonzero(state.membership == number))
    for column, expected in zip(state.flows, other.flows, strict=True):
        np.testing.assert_allclose(column[: other.count], expected, atol=1e-6)
        assert (column[other.count :] == 0).all()


def bits_of(network, membership, mu):
    """The codelength times the flow, but for a constant: at frozen mu, or of the whole map equation."""
    if mu is not None:
        return cost(network, membership, mu)
    exits = community_flows(network, membership, int(membership.max()) + 1).enter.sum()
    return cost(network, membership, 0.0) + exits * np.log2(exits)


@pytest.mark.parametrize("mu", [9.0, None])
@pytest.mark.parametrize("seed", range(3))
def test_nodes_move_where_that_gains(network, mu, seed):
    state = state_of(network, 0.2, seed)
    before = state.membership.copy()
    moved, left = move_singly(state, np.arange(NODES, dtype=np.int32), mu)
    stays = np.setdiff1d(np.arange(NODES), moved)
    np.testing.assert_array_equal(state.membership[stays], before[stays])
    assert set(before[state.membership != before].tolist()) <= set(left.tolist())
    assert len(moved) > NODES * 0.1
    assert bits_of(network, state.membership, mu) < bits_of(network, before, mu)
    still = moving(state, np.arange(NODES, dtype=np.int32), mu)
    assert still.mean() < 0.02, "only where a community changed without a neighbor's move"
    require_consistent(state)


def test_one_move_is_the_cheapest_of_all(network):
    """A node whose neighbors stay: it goes where the cost of the whole partition is lowest."""
    state = state_of(network, 0.0)
    rows = network.rows
    state.membership[5] = 7
    state = State(network, state.membership, None, state.apart)
    near = np.unique(state.membership[rows.neighbor[rows.start[5] : rows.start[6]]]).tolist()
    costs = {}
    for to in [*near, 20]:
        other = state.membership.copy()
        other[5] = to
        costs[to] = cost(network, other, 9.0)
    moved, left = move_singly(state, np.array([5], np.int32), 9.0)
    assert state.membership[5] == min(costs, key=costs.__getitem__) == 0
    assert left.tolist() == [7]
    assert 5 in moved


def test_a_node_without_a_home_stands_alone():
    """Its only link leads to a community that a rule keeps it out of."""
    links = {pair: weight for pair, weight in planted_links(20, 12, 1100, 0).items() if 0 not in pair}
    other = network_of({**links, (0, 239): 1.0}, NODES)
    state = state_of(other, 0.0, groups=[(0, 230)])
    moved, left = move_singly(state, np.array([0], np.int32), 9.0)
    assert (moved.tolist(), left.tolist()) == ([0], [0])
    assert state.membership[0] == 20
    assert state.count == 21
    require_consistent(state)


def test_rules_hold_and_open_ways(network):
    """Node 5 may not go home while node 6 is there; where 6 is elsewhere, both are compared."""
    state = state_of(network, 0.0, groups=[(5, 6)])
    state.membership[5] = 7
    state = State(network, state.membership, None, state.apart)
    move_singly(state, np.array([5], np.int32), 9.0)
    assert state.membership[5] != state.membership[6]
    state.membership[6] = 3
    state = State(network, state.membership, None, state.apart)
    move_singly(state, np.array([6], np.int32), 9.0)
    assert state.apart.violations(state.membership) == 0
    value = np.full((NODES, 1), -1, np.int32)
    value[[5, 6]] = [[1], [2]]
    state = state_of(network, 0.0, value=value)
    state.membership[5] = 7
    state = State(network, state.membership, None, state.apart)
    move_singly(state, np.array([5], np.int32), 9.0)
    assert state.membership[5] != state.membership[6]


def test_nothing_moves_where_nothing_gains(network):
    state = state_of(network, 0.2)
    everyone = np.arange(NODES, dtype=np.int32)
    while moving(state, everyone, 9.0).any():
        move_singly(state, everyone, 9.0)
    before, count = state.membership.copy(), state.count
    moved, left = move_singly(state, everyone, 9.0)
    assert len(moved) == len(left) == 0
    assert state.count == count
    np.testing.assert_array_equal(state.membership, before)
