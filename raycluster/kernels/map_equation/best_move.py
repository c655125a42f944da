"""The best move of one node.

Shapes: N nodes, and as many module numbers; 2 L entries in the rows of L links; W entries of the widest row.
"""

from typing import NamedTuple

import numba
import numpy as np

from raycluster.arrays import Array
from raycluster.kernels.map_equation.flow import Network
from raycluster.kernels.map_equation.terms import g, joining_bound, joining_change, leaving_change, log2, term

NEW, STAY = np.int32(-2), np.int32(-1)
"""Targets that are no module: an empty one, and the node's own."""


class Graph(NamedTuple):
    """The links and flows of the nodes."""

    start: Array
    """(N + 1,): the row of node i is at start[i]:start[i + 1]."""
    neighbor: Array
    """(2 L,)."""
    weight: Array
    """(2 L,): half of what flows along a link both ways."""
    flow: Array
    """(N,)."""
    exit: Array
    """(N,)."""
    enter: Array
    """(N,)."""


class Modules(NamedTuple):
    """The partition, which changes in place."""

    membership: Array
    """(N,): the module of each node; ~module while the node is in the batch."""
    size: Array
    """(N,): nodes of each module."""
    state: Array
    """(N, 8): a cache line per module."""
    empty: Array
    """(N,): a stack of modules without nodes, the lowest number on top at first."""


class Scratch(NamedTuple):
    """Work space of one task."""

    sums: Array
    """(N,), zeros: weight to each module."""
    touched: Array
    """(W + 1,): modules with a weight."""


def graph_of(network: Network) -> Graph:
    """Return the links and flows of a network, for kernels."""
    rows = network.rows
    return Graph(rows.start, rows.neighbor, rows.weight, network.flow, network.exit, network.enter)


@numba.njit(nogil=True, cache=True)
def best_move(node, graph, modules, total, least, scratch):  # type: ignore[no-untyped-def]
    """Find the move of a node that shortens the code most.

    Parameters
    ----------
    node : int
        The node.
    graph : Graph
        Links and flows of all nodes.
    modules : Modules
        The partition as it is.
    total : float
        Sum over enter of all modules.
    least : float
        What a move must gain, in bits times the unit of flow.
    scratch : Scratch
        Work space; `sums` is zeros again afterwards.

    Returns
    -------
    target : int32
        A module, `NEW` or `STAY`.
    to_own, to_target : float
        Weights of the node's links to its own module and to the target.
    met : bool
        Whether a neighbor is in the same batch.
    """
    sums, touched = scratch.sums, scratch.touched
    own = modules.membership[node]
    own = ~own if own < 0 else own
    # Phase 1: weight to each module among the neighbors. Sums are exact (`links.grid`), in whatever order links come.
    count, met = 0, False
    for at in range(graph.start[node], graph.start[node + 1]):
        module = modules.membership[graph.neighbor[at]]
        if module < 0:
            module = ~module
            met = True
        so_far = sums[module]
        # Written always and counted once: cheaper than a branch.
        touched[count] = module
        count += so_far == 0.0
        sums[module] = so_far + graph.weight[at]
    # Phase 2: what leaving gains, and what a module of its own gains beside it. L falls: changes are negative.
    to_own = sums[own]
    flow, leaving, entering = graph.flow[node], graph.exit[node], graph.enter[node]
    away = leaving_change(modules.state[own], flow, leaving, entering, to_own, total)
    rest = total - entering + 2 * to_own
    log_rest = log2(rest)
    best, to_best, change = STAY, 0.0, -least
    if modules.size[own] > 1:
        alone = away + g(rest + entering) + term(flow, leaving, entering)
        if alone < change:
            best, change = NEW, alone
    # Phase 3: the module of the greatest weight comes first. It is mostly the best, and rules others out by their bound.
    sums[own] = 0.0
    nearest = 0
    for rank in range(1, count):
        if sums[touched[rank]] > sums[touched[nearest]]:
            nearest = rank
    # Phase 4: the others, in any order: of equal changes the lowest module wins.
    for rank in range(count):
        if rank == 0:
            module = touched[nearest]
        elif rank == nearest:
            module = touched[0]
        else:
            module = touched[rank]
        weight = sums[module]
        sums[module] = 0.0
        if module == own:
            continue
        # `least` covers the rounding of the bound.
        bound = away + joining_bound(modules.state[module], flow, leaving, entering, weight, rest, log_rest)
        if bound > change + least:
            continue
        joined = away + joining_change(modules.state[module], flow, leaving, entering, weight, rest)
        if joined < change or (joined == change and module < best):
            best, to_best, change = module, weight, joined
    return best, to_own, to_best, met
