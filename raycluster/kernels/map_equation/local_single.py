"""Single nodes of a large graph moved until none of them gains.

No other node is placed again: communities lose and gain the nodes that move. Each pass compares the nodes of the pass before
that moved, by their neighbors; moves are made at once, in ascending order of nodes.

Shapes: N nodes, R compared ones, C communities, D value columns.
"""

import numba
import numpy as np

from raycluster.arrays import Int32, Int64
from raycluster.kernels.map_equation.apart import Apart, ranges
from raycluster.kernels.map_equation.best_move import graph_of
from raycluster.kernels.map_equation.links import widest_row
from raycluster.kernels.map_equation.local_move import (
    ALONE,
    STAY,
    Scratch,
    best_move,
    carry_out,
    communities_of,
    rules_of,
)
from raycluster.kernels.map_equation.local_state import State


def move_singly(state: State, nodes: Int32, mu: float | None) -> tuple[Int32, Int64]:
    """Move nodes that gain; returns them, and the communities that they left.

    Both are ascending.

    Parameters
    ----------
    state : State
        Communities now; changed in place. They keep their numbers.
    nodes : (R,) int32
        Nodes to compare, ascending.
    mu : float, optional
        Bits per unit of exit; none carries the exits of all communities.
    """
    rows, apart = state.network.rows, state.apart
    moved, left = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    while len(nodes):
        before = state.membership[nodes]
        _one_pass(state, nodes, mu)
        is_moved = state.membership[nodes] != before
        moved.append(nodes[is_moved])
        left.append(before[is_moved])
        last = moved[-1]
        near = rows.neighbor[ranges(rows.start[last], rows.start[last + 1])]
        nodes = np.unique(np.concatenate([near, _fellows(apart, last)]))
    return np.unique(np.concatenate(moved)), np.unique(np.concatenate(left)).astype(np.int64)


def _fellows(apart: Apart, nodes: Int32) -> Int32:
    """Nodes that must be apart from some others; these may go where one leaves."""
    return apart.shared(nodes)[0] if len(apart.node) else np.empty(0, np.int32)


def _one_pass(state: State, nodes: Int32, mu: float | None) -> None:
    """Compare each node once."""
    free = state.count
    total = state.exits if mu is None else -1.0
    state.with_empty(len(nodes))
    communities = communities_of(state.membership, state.size, state.flows, state.apart.value)
    used = _pass(
        nodes,
        graph_of(state.network),
        rules_of(state.apart, nodes),
        communities,
        state.head,
        state.next,
        0.0 if mu is None else mu,
        total,
        free,
    )
    state.without_last(state.count - used)


@numba.njit(nogil=True, cache=True)
def _pass(nodes, graph, rules, communities, head, following, mu, total, free):  # type: ignore[no-untyped-def]
    """Move nodes to their best communities; return the first unused number.

    Parameters
    ----------
    nodes : (R,) int32
        Nodes to compare, ascending.
    graph : Graph
        Links and flows of all nodes.
    rules : Rules
        For the nodes to compare.
    communities : Communities
        Change in place.
    head, following : (C,) and (N,)
        The first member of each community, and the member after each node; they change in place.
    mu, total : float
        Bits per unit of exit, and the exits of all communities (`coupling`).
    free : int
        The first unused number.
    """
    count = len(communities.size)
    scratch = Scratch(
        np.zeros(count), np.empty(widest_row(nodes, graph.start) + 1, np.int32), np.zeros(count, np.int64)
    )
    for rank in range(nodes.shape[0]):
        node = nodes[rank]
        own = communities.membership[node]
        to, to_own, to_target = best_move(node, rank, rank + 1, graph, rules, communities, mu, total, scratch)
        if to == STAY:
            continue
        if to == ALONE:
            to = free
            free += 1
        total = carry_out(node, to, to_own, to_target, graph, rules.value, communities, total)
        _relink(node, own, to, head, following)
    return free


@numba.njit(nogil=True, cache=True)
def _relink(node, own, to, head, following):  # type: ignore[no-untyped-def]
    """Take a node out of the members of a community, into those of another."""
    if head[own] == node:
        head[own] = following[node]
    else:
        before = head[own]
        while following[before] != node:
            before = following[before]
        following[before] = following[node]
    following[node] = head[to]
    head[to] = node
