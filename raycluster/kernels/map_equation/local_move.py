"""One move of one node between communities.

The exits of all communities are carried, or mu is frozen.

The objective is a sum of terms, one per community (`local_terms`), so a move changes two of them and nothing else.

Shapes: N nodes, R nodes that are compared, C community numbers, D value columns; W entries of the widest row of links;
I memberships of nodes in groups, G groups (`apart.Apart`).
"""

from typing import NamedTuple

import numba
import numpy as np

from raycluster.arrays import Array, Int32
from raycluster.kernels.map_equation.apart import Apart
from raycluster.kernels.map_equation.flow import Flows
from raycluster.kernels.map_equation.local_terms import coupling, term

LEAST_GAIN = 1e-10
"""Bits per unit of flow in both communities that a change must save. Float64 adds terms to about 1e-14 of them, so that
nothing above is noise. Raising it leaves gains of that size unused."""
STAY, ALONE = np.int32(-1), np.int32(-2)
"""Targets that are no community: the node's own, and an empty one."""


class Rules(NamedTuple):
    """Which nodes no community may hold together (`apart.Apart`)."""

    start: Array
    """(R + 1,): the groups of the r-th compared node are at start[r]:start[r + 1]."""
    group: Array
    """Groups of the compared nodes."""
    first: Array
    """(G + 1,): the members of group g are at first[g]:first[g + 1]."""
    member: Array
    """(I,): nodes."""
    value: Array
    """(N, D): -1 for none."""


class Communities(NamedTuple):
    """The communities, which change in place."""

    membership: Array
    """(N,): community of each node."""
    size: Array
    """(C,): nodes of each community."""
    flow: Array
    """(C,)."""
    exit: Array
    """(C,)."""
    enter: Array
    """(C,)."""
    held: Array
    """(C, D): value of each community."""
    holders: Array
    """(C, D): nodes of each community that have a value."""


class Scratch(NamedTuple):
    """Work space."""

    sums: Array
    """(C,), zeros: weight to each community."""
    touched: Array
    """(W + 1,): communities with a weight."""
    stamp: Array
    """(C,): the tag of the last node that must not join each community; 0 for none."""


def rules_of(apart: Apart, nodes: Int32) -> Rules:
    """Return the rules for nodes (R,) that are compared."""
    return Rules(*apart.memberships(nodes), apart.first, apart.member, apart.value)


def communities_of(membership: Int32, size: Array, flows: Flows, value: Int32) -> Communities:
    """Return communities with the values that they hold.

    Parameters
    ----------
    membership : (N,) int32
        Communities 0..C-1; changes in place.
    size : (C,) integers
        Nodes of each; changes in place.
    flows : Flows
        Of each (C,); change in place.
    value : (N, D) int32
        Values of nodes, -1 for none.
    """
    shape = len(size), value.shape[1]
    held, holders = np.full(shape, -1, np.int32), np.zeros(shape, np.int64)
    if held.size:
        _count_values(membership, value, held, holders)
    return Communities(membership, size, *flows, held, holders)


@numba.njit(nogil=True, cache=True)
def _count_values(membership, value, held, holders):  # type: ignore[no-untyped-def]
    """Write the value of each community in each column, and how many nodes have one."""
    for node in range(membership.shape[0]):
        for column in range(value.shape[1]):
            if value[node, column] >= 0:
                held[membership[node], column] = value[node, column]
                holders[membership[node], column] += 1


# Without `_nrt`, nothing here counts references to arrays, which callers hold: half of the time. Nothing allocates.
@numba.njit(nogil=True, cache=True, _nrt=False)
def best_move(node, rank, tag, graph, rules, communities, mu, total, scratch):  # type: ignore[no-untyped-def]
    """Find the move of a node that saves most.

    Parameters
    ----------
    node, rank : int
        The node, and its place among those that `rules` are for.
    tag : int
        A number above 0 that no earlier call with this scratch has had.
    graph : Graph
        Links and flows of all nodes.
    rules : Rules
        Which nodes no community may hold together.
    communities : Communities
        The communities as they are.
    mu, total : float
        Bits per unit of exit, and the exits of all communities (`coupling`).
    scratch : Scratch
        Work space; `sums` is zeros again afterwards.

    Returns
    -------
    target : int32
        A community, `STAY` or `ALONE`. Of equal gains the lowest number wins.
    to_own, to_target : float
        Weights of the node's links to its own community and to the target.
    """
    # Arrays are taken out of the tuples before the loops: inside, each use of `tuple.array` would count a reference.
    sums, touched, stamp, membership = scratch.sums, scratch.touched, scratch.stamp, communities.membership
    m_flow, m_exit, m_enter = communities.flow, communities.exit, communities.enter
    # Phase 1: communities that hold a node of one of its groups, and the weight to each community next to it.
    own = membership[node]
    _forbid(node, rank, tag, rules, membership, stamp)
    num_touched = _add_weights(node, graph, membership, scratch)
    # Phase 2: what leaving costs, and by how much the old community's exits change: it gains the links to the node.
    flow, leaving, entering, to_own = graph.flow[node], graph.exit[node], graph.enter[node], sums[own]
    away = -term(m_flow[own], m_exit[own], m_enter[own], 0.0)
    fewer = -entering
    best, to_best, change = STAY, 0.0, 0.0
    if communities.size[own] > 1:
        fewer = 2 * to_own - entering
        away += term(m_flow[own] - flow, m_exit[own] - leaving + 2 * to_own, m_enter[own] + fewer, 0.0)
        by_itself = away + term(flow, leaving, entering, 0.0) + coupling(total, fewer + entering, mu)
        if by_itself < -LEAST_GAIN * m_flow[own]:
            best, change = ALONE, by_itself
    value, held, holders = rules.value, communities.held, communities.holders
    # Phase 3: what joining each of the others costs beside it.
    for at in range(num_touched):
        community = touched[at]
        joint = sums[community]
        sums[community] = 0.0
        if community == own or stamp[community] == tag or _has_other_value(node, community, value, held, holders):
            continue
        more = entering - 2 * joint
        before = term(m_flow[community], m_exit[community], m_enter[community], 0.0)
        after = term(m_flow[community] + flow, m_exit[community] + leaving - 2 * joint, m_enter[community] + more, 0.0)
        gain = away - before + after + coupling(total, fewer + more, mu)
        is_better = gain < change or (gain == change and community < best)
        if is_better and gain < -LEAST_GAIN * (m_flow[own] + m_flow[community]):
            best, to_best, change = community, joint, gain
    return best, to_own, to_best


@numba.njit(nogil=True, cache=True, _nrt=False)
def _forbid(node, rank, tag, rules, membership, stamp):  # type: ignore[no-untyped-def]
    """Put a node's tag on the communities of other members of its groups."""
    start = rules.start
    if start[rank] == start[rank + 1]:
        return
    group, first, member = rules.group, rules.first, rules.member
    for at in range(start[rank], start[rank + 1]):
        for place in range(first[group[at]], first[group[at] + 1]):
            if member[place] != node:
                stamp[membership[member[place]]] = tag


@numba.njit(nogil=True, cache=True, _nrt=False)
def _add_weights(node, graph, membership, scratch):  # type: ignore[no-untyped-def]
    """Write the weight to each community next to a node; return how many there are."""
    start, neighbor, weight, sums, touched = graph.start, graph.neighbor, graph.weight, scratch.sums, scratch.touched
    count = 0
    for at in range(start[node], start[node + 1]):
        community = membership[neighbor[at]]
        if sums[community] == 0.0:
            touched[count] = community
            count += 1
        sums[community] += weight[at]
    return count


@numba.njit(nogil=True, cache=True, _nrt=False)
def _has_other_value(node, community, value, held, holders):  # type: ignore[no-untyped-def]
    """Whether a community holds another value than a node in some column."""
    for column in range(value.shape[1]):
        own = value[node, column]
        if own >= 0 and holders[community, column] and held[community, column] != own:
            return True
    return False


@numba.njit(nogil=True, cache=True, _nrt=False)
def carry_out(node, to, to_own, to_target, graph, value, communities, total):  # type: ignore[no-untyped-def]
    """Move a node; return the exits of all communities afterwards.

    Parameters
    ----------
    node, to : int
        The node, and the community that it joins.
    to_own, to_target : float
        Weights of its links to the community that it leaves and to the other (`best_move`).
    graph : Graph
        Links and flows of all nodes.
    value : (N, D)
        Values of nodes, -1 for none.
    communities : Communities
        Change in place.
    total : float
        Exits of all communities before, or below 0 where mu is frozen.
    """
    own = communities.membership[node]
    flow, leaving, entering = graph.flow[node], graph.exit[node], graph.enter[node]
    m_flow, m_exit, m_enter = communities.flow, communities.exit, communities.enter
    communities.size[own] -= 1
    communities.size[to] += 1
    m_flow[own] -= flow
    m_exit[own] -= leaving - 2 * to_own
    m_enter[own] -= entering - 2 * to_own
    if communities.size[own] == 0:
        m_flow[own], m_exit[own], m_enter[own] = 0.0, 0.0, 0.0
    m_flow[to] += flow
    m_exit[to] += leaving - 2 * to_target
    m_enter[to] += entering - 2 * to_target
    for column in range(value.shape[1]):
        if value[node, column] >= 0:
            communities.holders[own, column] -= 1
            communities.holders[to, column] += 1
            communities.held[to, column] = value[node, column]
    communities.membership[node] = to
    return max(total + 2 * to_own - 2 * to_target, 0.0) if total >= 0.0 else total
