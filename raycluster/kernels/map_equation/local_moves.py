"""Local moving at frozen mu: nodes go where the codelength falls most.

The objective is a sum of terms, one per community (`local_terms`), so a move changes two of them and nothing else. One
thread, nodes in ascending order: regions are small, and the result must not depend on the machine.

Shapes: M nodes, as many community numbers as nodes (`membership` < M), D value columns. `rank_start`, `group`: memberships of the
node at each rank; `first`, `member`: nodes of each group (`apart.Apart`).
"""

from dataclasses import dataclass

import numba
import numpy as np

from raycluster.arrays import Bool, Int32
from raycluster.kernels.map_equation.aggregate import module_network, numbered
from raycluster.kernels.map_equation.apart import Apart
from raycluster.kernels.map_equation.flow import Flows, Network
from raycluster.kernels.map_equation.links import widest_row
from raycluster.kernels.map_equation.local_terms import community_flows, coupling, term

LEAST_GAIN = 1e-10
"""Bits per unit of flow in both communities that a change must save. Float64 adds terms to about 1e-14 of them, so that
nothing above is noise. Raising it leaves gains of that size unused."""
STAY, ALONE = np.int32(-1), np.int32(-2)


@dataclass(frozen=True)
class Problem:
    """Nodes to be placed; some stand for whole communities that must stay."""

    network: Network
    frozen: Bool
    """(M,): nodes that never move; others may join them. No two of them are ever in one community."""
    apart: Apart
    exits_outside: float = np.nan
    """Exits of all communities that have no node here. Not a number: mu is frozen, and they do not matter."""

    def total(self, flows: Flows) -> float:
        """Return the exits of all communities; below 0 where mu is frozen."""
        return -1.0 if np.isnan(self.exits_outside) else self.exits_outside + float(flows.enter.sum())


@numba.njit(nogil=True, cache=True)
def value_counts(membership, value, held, count):  # type: ignore[no-untyped-def]
    """Write the value of each community in each column, and how many nodes have one.

    Parameters
    ----------
    membership : (N,)
        Communities 0..C-1.
    value : (N, D)
        Values, -1 for none.
    held, count : (C, D)
        Written: the value of a community, and its nodes with a value. -1 and 0 before.
    """
    for node in range(membership.shape[0]):
        for column in range(value.shape[1]):
            if value[node, column] >= 0:
                held[membership[node], column] = value[node, column]
                count[membership[node], column] += 1


@numba.njit(nogil=True, cache=True)
def best_move(  # type: ignore[no-untyped-def]
    node, rank, start, neighbor, weight, n_flow, n_exit, n_enter, rank_start, group, first, member, value, held, count,
    membership, alone, m_flow, m_exit, m_enter, mu, total, sums, touched, stamp, tag,
):  # fmt: skip
    """Return the community that saves most, and the weight to the own one and to it.

    The community may be STAY or ALONE. Of equal gains the lowest number wins.

    Parameters
    ----------
    node, rank : int
        The node, and its place in `rank_start`.
    start, neighbor, weight, n_flow, n_exit, n_enter
        The network.
    rank_start, group, first, member, value, held, count
        Rules (`Apart`), and the values that communities hold (`value_counts`).
    membership, alone, m_flow, m_exit, m_enter, mu, total
        Communities, whether the node is alone in its own, their flows, mu, and the exits of all (`coupling`).
    sums, touched, stamp, tag
        Scratch: zeros (C,), room for the neighbors of a node, tags (C,) of earlier calls, and a tag that none has had.
    """
    own = membership[node]
    # A community that holds another member of one of the node's groups gets this node's tag.
    for at in range(rank_start[rank], rank_start[rank + 1]):
        for other in range(first[group[at]], first[group[at] + 1]):
            if member[other] != node:
                stamp[membership[member[other]]] = tag
    num_touched = 0
    for at in range(start[node], start[node + 1]):
        community = membership[neighbor[at]]
        if sums[community] == 0.0:
            touched[num_touched] = community
            num_touched += 1
        sums[community] += weight[at]
    to_own = sums[own]
    flow, leaving, entering = n_flow[node], n_exit[node], n_enter[node]
    away = -term(m_flow[own], m_exit[own], m_enter[own], 0.0)
    best, to_best, change = STAY, 0.0, 0.0
    # Exits of the old community: it loses the node's, and gains the links to it.
    fewer = -entering if alone else 2 * to_own - entering
    if not alone:
        away += term(m_flow[own] - flow, m_exit[own] - leaving + 2 * to_own, m_enter[own] + fewer, 0.0)
        by_itself = away + term(flow, leaving, entering, 0.0) + coupling(total, fewer + entering, mu)
        if by_itself < -LEAST_GAIN * m_flow[own]:
            best, change = ALONE, by_itself
    for at in range(num_touched):
        community = touched[at]
        joint = sums[community]
        sums[community] = 0.0
        if community == own or stamp[community] == tag:
            continue
        vetoed = False
        for column in range(value.shape[1]):
            if value[node, column] >= 0 and count[community, column] and held[community, column] != value[node, column]:
                vetoed = True
        if vetoed:
            continue
        more = entering - 2 * joint
        gain = away - term(m_flow[community], m_exit[community], m_enter[community], 0.0) + term(
            m_flow[community] + flow, m_exit[community] + leaving - 2 * joint, m_enter[community] + more, 0.0
        ) + coupling(total, fewer + more, mu)  # fmt: skip
        if gain < -LEAST_GAIN * (m_flow[own] + m_flow[community]) and (
            gain < change or (gain == change and community < best)
        ):
            best, to_best, change = community, joint, gain
    return best, to_own, to_best


@numba.njit(nogil=True, cache=True)
def change_flows(  # type: ignore[no-untyped-def]
    own, to, to_own, to_best, flow, leaving, entering, alone, m_flow, m_exit, m_enter, total
):
    """Change the flows of two communities by a move; returns all exits.

    Parameters
    ----------
    own, to : int
        The community that the node leaves, and the one that it joins.
    to_own, to_best : float
        Weight between the node and the others of both (`best_move`).
    flow, leaving, entering : float
        Of the node.
    alone : bool
        Whether nothing is left of the community that it leaves.
    m_flow, m_exit, m_enter : (C,) float64
        Flows of communities, changed in place.
    total : float
        Exits of all communities before, or below 0 where mu is frozen.
    """
    m_flow[own] -= flow
    m_exit[own] -= leaving - 2 * to_own
    m_enter[own] -= entering - 2 * to_own
    if alone:
        m_flow[own], m_exit[own], m_enter[own] = 0.0, 0.0, 0.0
    m_flow[to] += flow
    m_exit[to] += leaving - 2 * to_best
    m_enter[to] += entering - 2 * to_best
    return max(total + 2 * to_own - 2 * to_best, 0.0) if total >= 0.0 else total


@numba.njit(nogil=True, cache=True)
def _move(  # type: ignore[no-untyped-def]
    start, neighbor, weight, n_flow, n_exit, n_enter, frozen, rank_start, group, first, member, value,
    membership, m_flow, m_exit, m_enter, mu, total,
):  # fmt: skip
    nodes = membership.shape[0]
    held, count = np.full((nodes, value.shape[1]), -1, np.int32), np.zeros((nodes, value.shape[1]), np.int64)
    value_counts(membership, value, held, count)
    size = np.zeros(nodes, np.int64)
    for node in range(nodes):
        size[membership[node]] += 1
    unused, free = 0, np.empty(nodes, np.int32)
    for community in range(nodes - 1, -1, -1):
        if size[community] == 0:
            free[unused] = community
            unused += 1
    sums, touched = np.zeros(nodes), np.empty(widest_row(range(nodes), start) + 1, np.int32)
    stamp, tag = np.zeros(nodes, np.int64), 0
    active, all_moved, everywhere = np.ones(nodes, np.bool_), 0, True
    while True:
        moved = 0
        for node in range(nodes):
            if frozen[node] or not active[node]:
                continue
            active[node] = False
            tag += 1
            own = membership[node]
            to, to_own, to_best = best_move(
                node, node, start, neighbor, weight, n_flow, n_exit, n_enter, rank_start, group, first, member, value,
                held, count, membership, size[own] == 1, m_flow, m_exit, m_enter, mu, total, sums, touched, stamp, tag,
            )  # fmt: skip
            if to == STAY:
                continue
            if to == ALONE:
                unused -= 1
                to = free[unused]
            size[own] -= 1
            size[to] += 1
            total = change_flows(
                own, to, to_own, to_best, n_flow[node], n_exit[node], n_enter[node], size[own] == 0,
                m_flow, m_exit, m_enter, total,
            )  # fmt: skip
            if size[own] == 0:
                free[unused] = own
                unused += 1
            for column in range(value.shape[1]):
                if value[node, column] >= 0:
                    count[own, column] -= 1
                    count[to, column] += 1
                    held[to, column] = value[node, column]
            membership[node] = to
            moved += 1
            for at in range(start[node], start[node + 1]):
                if membership[neighbor[at]] != to:
                    active[neighbor[at]] = True
            # Members of the node's groups may now go where it was.
            for at in range(rank_start[node], rank_start[node + 1]):
                for other in range(first[group[at]], first[group[at] + 1]):
                    active[member[other]] = True
        all_moved += moved
        if moved == 0 and everywhere:
            return all_moved
        # A pass over all nodes must find nothing before the search ends: flows of communities change without a neighbor's move.
        everywhere = moved == 0
        if everywhere:
            active[:] = True


def move(problem: Problem, membership: Int32, mu: float) -> tuple[int, Flows]:
    """Move nodes, one by one, until none gains; returns the moves, and flows (M,).

    Parameters
    ----------
    problem : Problem
        M nodes.
    membership : (M,) int32
        Changes in place.
    mu : float
        Bits per unit of exit.
    """
    network, apart, nodes = problem.network, problem.apart, problem.network.nodes
    flows = community_flows(network, membership, nodes)
    rows, (rank_start, group) = network.rows, apart.memberships(np.arange(nodes, dtype=np.int32))
    moved = _move(
        rows.start, rows.neighbor, rows.weight, network.flow, network.exit, network.enter, problem.frozen,
        rank_start, group, apart.first, apart.member, apart.value, membership, *flows, mu, problem.total(flows),
    )  # fmt: skip
    return moved, flows


def climb(problem: Problem, membership: Int32, mu: float) -> Int32:
    """Return communities after nodes, then whole communities, moved until none gains.

    They are numbered by their lowest node. A community with a frozen node does not move, others join it.

    Parameters
    ----------
    problem : Problem
        M nodes.
    membership : (M,) int32
        The start; it stays as it is.
    mu : float
        Bits per unit of exit.
    """
    membership, top = membership.copy(), problem
    upper = membership
    while True:
        moved, flows = move(top, upper, mu)
        kept = numbered(upper)
        if upper is not membership:
            np.take(upper, membership, out=membership)
            if moved == 0:
                return membership
        top = _communities_as_nodes(top, upper, Flows(*(column[kept] for column in flows)))
        upper = np.arange(top.network.nodes, dtype=np.int32)


def _communities_as_nodes(problem: Problem, membership: Int32, flows: Flows) -> Problem:
    count = len(flows.flow)
    frozen = np.zeros(count, bool)
    frozen[membership[problem.frozen]] = True
    value = np.full((count, problem.apart.value.shape[1]), -1, np.int32)
    for column, values in zip(value.T, problem.apart.value.T, strict=True):
        has = values >= 0
        column[membership[has]] = values[has]
    return Problem(
        module_network(problem.network, membership, flows, 1),
        frozen,
        problem.apart.mapped(membership, value, count),
        problem.exits_outside,
    )
