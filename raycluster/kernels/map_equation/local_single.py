"""Single nodes of a large graph moved until none of them gains.

No other node is placed again: communities lose and gain the nodes that move. Each pass compares the nodes of the pass before
that moved, by their neighbors; moves are made at once, in ascending order of nodes.

Shapes: N nodes, R compared ones, C communities, D value columns.
"""

import numba
import numpy as np

from raycluster.arrays import Int32, Int64
from raycluster.kernels.map_equation.apart import Apart, ranges
from raycluster.kernels.map_equation.links import widest_row
from raycluster.kernels.map_equation.local_moves import ALONE, STAY, best_move, change_flows, value_counts
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
    network, apart = state.network, state.apart
    free = state.count
    total = state.exits if mu is None else -1.0
    state.with_empty(len(nodes))
    shape = state.count, apart.value.shape[1]
    held, count = np.full(shape, -1, np.int32), np.zeros(shape, np.int64)
    if held.size:
        value_counts(state.membership, apart.value, held, count)
    rank_start, group = apart.memberships(nodes)
    used = _pass(
        nodes, network.rows.start, network.rows.neighbor, network.rows.weight, network.flow, network.exit, network.enter,
        rank_start, group, apart.first, apart.member, apart.value, held, count, state.membership, state.size, state.head,
        state.next, *state.flows, 0.0 if mu is None else mu, total, free,
        np.zeros(state.count), np.zeros(state.count, np.int64),
    )  # fmt: skip
    state.without_last(state.count - used)


@numba.njit(nogil=True, cache=True)
def _pass(  # type: ignore[no-untyped-def]
    nodes, start, neighbor, weight, n_flow, n_exit, n_enter, rank_start, group, first, member, value, held, count,
    membership, size, head, following, m_flow, m_exit, m_enter, mu, total, free, sums, stamp,
):  # fmt: skip
    """Move nodes to their best communities; returns the first unused number."""
    touched = np.empty(widest_row(nodes, start) + 1, np.int32)
    for rank in range(nodes.shape[0]):
        node = nodes[rank]
        own = membership[node]
        to, to_own, to_best = best_move(
            node, rank, start, neighbor, weight, n_flow, n_exit, n_enter, rank_start, group, first, member, value, held,
            count, membership, size[own] == 1, m_flow, m_exit, m_enter, mu, total, sums, touched, stamp, rank + 1,
        )  # fmt: skip
        if to == STAY:
            continue
        if to == ALONE:
            to = free
            free += 1
        total = change_flows(
            own, to, to_own, to_best, n_flow[node], n_exit[node], n_enter[node], size[own] == 1, m_flow, m_exit, m_enter,
            total,
        )  # fmt: skip
        size[own] -= 1
        size[to] += 1
        for column in range(value.shape[1]):
            if value[node, column] >= 0:
                count[own, column] -= 1
                count[to, column] += 1
                held[to, column] = value[node, column]
        # Out of the members of its community, into those of the other.
        if head[own] == node:
            head[own] = following[node]
        else:
            before = head[own]
            while following[before] != node:
                before = following[before]
            following[before] = following[node]
        following[node] = head[to]
        head[to] = node
        membership[node] = to
    return free
