"""Nodes that gain by a move, and communities that gain by a merge.

Single changes to the communities as they are. Nothing is changed here.
"""

import numba
import numpy as np

from raycluster.arrays import Bool, Int32, Int64, Ints
from raycluster.kernels.map_equation.apart import ranges
from raycluster.kernels.map_equation.best_move import graph_of
from raycluster.kernels.map_equation.flow import Flows
from raycluster.kernels.map_equation.links import widest_row
from raycluster.kernels.map_equation.local_move import (
    LEAST_GAIN,
    STAY,
    Scratch,
    best_move,
    communities_of,
    rules_of,
)
from raycluster.kernels.map_equation.local_state import State
from raycluster.kernels.map_equation.local_terms import coupling, terms


def moving(state: State, nodes: Int32, mu: float | None) -> Bool:
    """Return whether each of `nodes` (R,) gains by a move to a community next to it.

    Parameters
    ----------
    state : State
        Communities now.
    nodes : (R,) int32
        Nodes to compare.
    mu : float, optional
        Bits per unit of exit; none carries the exits of all communities.
    """
    network, result = state.network, np.zeros(len(nodes), bool)
    _evaluate(
        nodes,
        graph_of(network),
        rules_of(state.apart, nodes),
        communities_of(state.membership, state.size, state.flows, state.apart.value),
        0.0 if mu is None else mu,
        -1.0 if mu is not None else state.exits,
        result,
    )
    return result


def merging(state: State, nodes: Int32, mu: float | None) -> Int64:
    """Return the communities that gain by a merge, ascending.

    Pairs are compared that a link of one of `nodes` joins.

    Parameters
    ----------
    state : State
        Communities now.
    nodes : (R,) int32
        Nodes whose links are new.
    mu : float, optional
        Bits per unit of exit; none carries the exits of all communities.
    """
    one, other = _pairs(state, nodes)
    rows, joint = state.network.rows, np.zeros(len(one))
    # The members of the smaller community are read.
    smaller = np.where(state.size[one] <= state.size[other], one, other)
    larger = one + other - smaller
    _joint(smaller, larger, state.head, state.next, rows.start, rows.neighbor, rows.weight, state.membership, joint)
    sides = [Flows(*(column[side] for column in state.flows)) for side in (one, other)]
    lost = 2 * joint
    both = Flows(
        sides[0].flow + sides[1].flow, sides[0].exit + sides[1].exit - lost, sides[0].enter + sides[1].enter - lost
    )
    change = terms(both, 0.0) - terms(sides[0], 0.0) - terms(sides[1], 0.0)
    total = -1.0 if mu is not None else state.exits
    change += np.array([coupling(total, -own, 0.0 if mu is None else mu) for own in lost], np.float64)
    gains = change < -LEAST_GAIN * both.flow
    return np.unique(np.concatenate([one[gains], other[gains]])).astype(np.int64)


def _pairs(state: State, nodes: Int32) -> tuple[Int64, Int64]:
    """Pairs of different communities that a link of `nodes` joins, each once."""
    start = state.network.rows.start
    begin, end = start[nodes], start[nodes + 1]
    own = np.repeat(state.membership[nodes], end - begin).astype(np.int64)
    to = state.membership[state.network.rows.neighbor[ranges(begin, end)]].astype(np.int64)
    pair = np.unique(np.minimum(own, to)[own != to] << 32 | np.maximum(own, to)[own != to])
    return pair >> 32, pair & 0xFFFFFFFF


@numba.njit(nogil=True, cache=True)
def _joint(one, other, head, following, start, neighbor, weight, membership, joint):  # type: ignore[no-untyped-def]
    """Weight of the links between the communities of each pair."""
    for pair in range(one.shape[0]):
        node, total = head[one[pair]], 0.0
        while node >= 0:
            for at in range(start[node], start[node + 1]):
                if membership[neighbor[at]] == other[pair]:
                    total += weight[at]
            node = following[node]
        joint[pair] = total


def parted(state: State, communities: Ints) -> Int64:
    """Return the communities that are not connected, ascending.

    Parameters
    ----------
    state : State
        Communities now.
    communities : integers
        Those to be compared.
    """
    some = np.unique(communities).astype(np.int64)
    rows, result = state.network.rows, np.zeros(len(some), bool)
    seen = np.zeros(state.network.nodes, bool)
    queue = np.empty(int(state.size[some].max(initial=0)), np.int32)
    _parted(some, state.head, state.size, rows.start, rows.neighbor, state.membership, seen, queue, result)
    return some[result]


@numba.njit(nogil=True, cache=True)
def _parted(communities, head, size, start, neighbor, membership, seen, queue, result):  # type: ignore[no-untyped-def]
    """Whether a walk along links inside a community leaves some of its nodes out."""
    for place in range(communities.shape[0]):
        own = communities[place]
        queue[0], count, at = head[own], 1, 0
        seen[queue[0]] = True
        while at < count:
            for link in range(start[queue[at]], start[queue[at] + 1]):
                other = neighbor[link]
                if membership[other] == own and not seen[other]:
                    seen[other] = True
                    queue[count] = other
                    count += 1
            at += 1
        result[place] = count < size[own]


def members_near(state: State, communities: Ints, left_out: Int32) -> Int32:
    """Return the nodes next to members of some communities, ascending.

    Parameters
    ----------
    state : State
        Communities now.
    communities : integers
        Those whose members are read.
    left_out : (R,) int32
        Nodes that are not among the result.
    """
    rows, own = state.network.rows, state.members(communities)
    near: Int32 = np.setdiff1d(rows.neighbor[ranges(rows.start[own], rows.start[own + 1])], left_out)
    return near


@numba.njit(nogil=True, cache=True)
def _evaluate(nodes, graph, rules, communities, mu, total, result):  # type: ignore[no-untyped-def]
    """Write whether each node gains by a move."""
    count = len(communities.size)
    scratch = Scratch(
        np.zeros(count), np.empty(widest_row(nodes, graph.start) + 1, np.int32), np.zeros(count, np.int64)
    )
    for rank in range(nodes.shape[0]):
        to, _, _ = best_move(nodes[rank], rank, rank + 1, graph, rules, communities, mu, total, scratch)
        result[rank] = to != STAY
