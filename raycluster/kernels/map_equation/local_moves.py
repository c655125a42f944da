"""Local moving at frozen mu: nodes go where the codelength falls most.

One thread, nodes in ascending order: regions are small, and the result must not depend on the machine.

Shapes: M nodes, as many community numbers as nodes (`membership` < M).
"""

from dataclasses import dataclass

import numba
import numpy as np

from raycluster.arrays import Bool, Int32
from raycluster.kernels.map_equation.aggregate import module_network, numbered
from raycluster.kernels.map_equation.apart import Apart
from raycluster.kernels.map_equation.best_move import graph_of
from raycluster.kernels.map_equation.flow import Flows, Network
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
from raycluster.kernels.map_equation.local_terms import community_flows


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
def _move(graph, frozen, rules, communities, mu, total):  # type: ignore[no-untyped-def]
    """Move nodes until none gains; return the number of moves."""
    membership, size = communities.membership, communities.size
    nodes = membership.shape[0]
    # Numbers without nodes are a stack, the lowest on top.
    unused, free = 0, np.empty(nodes, np.int32)
    for community in range(nodes - 1, -1, -1):
        if size[community] == 0:
            free[unused] = community
            unused += 1
    scratch = Scratch(
        np.zeros(nodes), np.empty(widest_row(range(nodes), graph.start) + 1, np.int32), np.zeros(nodes, np.int64)
    )
    tag = 0
    active, all_moved, everywhere = np.ones(nodes, np.bool_), 0, True
    while True:
        moved = 0
        for node in range(nodes):
            if frozen[node] or not active[node]:
                continue
            active[node] = False
            tag += 1
            own = membership[node]
            to, to_own, to_target = best_move(node, node, tag, graph, rules, communities, mu, total, scratch)
            if to == STAY:
                continue
            if to == ALONE:
                unused -= 1
                to = free[unused]
            total = carry_out(node, to, to_own, to_target, graph, rules.value, communities, total)
            if size[own] == 0:
                free[unused] = own
                unused += 1
            moved += 1
            _wake(node, graph, rules, membership, active)
        all_moved += moved
        if moved == 0 and everywhere:
            return all_moved
        # A pass over all nodes must find nothing before the search ends: flows of communities change without a neighbor's move.
        everywhere = moved == 0
        if everywhere:
            active[:] = True


@numba.njit(nogil=True, cache=True, _nrt=False)
def _wake(node, graph, rules, membership, active):  # type: ignore[no-untyped-def]
    """Mark the nodes that may gain since a node has moved."""
    start, neighbor = graph.start, graph.neighbor
    for at in range(start[node], start[node + 1]):
        if membership[neighbor[at]] != membership[node]:
            active[neighbor[at]] = True
    # Members of the node's groups may now go where it was.
    start, group, first, member = rules.start, rules.group, rules.first, rules.member
    for at in range(start[node], start[node + 1]):
        for place in range(first[group[at]], first[group[at] + 1]):
            active[member[place]] = True


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
    flows, size = community_flows(network, membership, nodes), np.bincount(membership, minlength=nodes)
    moved = _move(
        graph_of(network),
        problem.frozen,
        rules_of(apart, np.arange(nodes, dtype=np.int32)),
        communities_of(membership, size, flows, apart.value),
        mu,
        problem.total(flows),
    )
    return moved, flows


def climb(problem: Problem, membership: Int32, mu: float) -> tuple[Int32, bool]:
    """Return communities after nodes, then whole communities, moved until none gains.

    They are numbered by their lowest node. A community with a frozen node does not move, others join it. The second result is
    whether no communities merged: another climb from there would change nothing.

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
    upper, has_merged = membership, False
    while True:
        moved, flows = move(top, upper, mu)
        kept = numbered(upper)
        if upper is not membership:
            np.take(upper, membership, out=membership)
            if moved == 0:
                return membership, not has_merged
            has_merged = True
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
