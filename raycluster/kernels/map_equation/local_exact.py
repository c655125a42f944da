"""The best of all partitions of components of a few nodes, at frozen mu.

Merging two communities without a link between them never gains at frozen mu, so each connected component can be solved
apart. Dynamic programming over sets of nodes: the best partition of a set is its lowest node's
community, over all choices, and the best partition of the rest. That takes
about 3^k / 2 steps for k nodes (3,280 for 8). What comes out depends on the component alone, never on what was there before.
"""

import numba
import numpy as np

from raycluster.arrays import Float64, Int32, Int64
from raycluster.kernels.map_equation.apart import Apart, conflict
from raycluster.kernels.map_equation.flow import Network
from raycluster.kernels.map_equation.local_terms import term

LARGEST = 8
"""Nodes up to which a component is solved exactly. Each further node takes three times as long."""
TIE = 1e-12
"""Two partitions whose terms differ by less than this, per unit of flow, are equal; the one with the smaller set wins."""


@numba.njit(nogil=True, cache=True)
def _small_components(start, neighbor, nodes, largest, done, first, member):  # type: ignore[no-untyped-def]
    """Write the small components of `nodes`, each ascending; returns their number."""
    found, put = 0, 0
    queue = np.empty(largest + 1, np.int32)
    first[0] = 0
    for node in nodes:
        if done[node]:
            continue
        queue[0] = node
        count, head, is_small = 1, 0, True
        while head < count and is_small:
            for at in range(start[queue[head]], start[queue[head] + 1]):
                other, seen = neighbor[at], False
                for rank in range(count):
                    seen = seen or queue[rank] == other
                if not seen:
                    if count == largest:
                        is_small = False
                        break
                    queue[count] = other
                    count += 1
            head += 1
        if not is_small:
            continue
        queue[:count].sort()
        for rank in range(count):
            member[put + rank] = queue[rank]
            done[queue[rank]] = True
        put += count
        found += 1
        first[found] = put
    return found


def small_components(network: Network, nodes: Int32, largest: int = LARGEST) -> tuple[Int64, Int32]:
    """Return where each small component begins (S + 1,), and their nodes.

    Parameters
    ----------
    network : Network
        The graph.
    nodes : (R,) int32
        Only components that hold one of these are found; the work grows with them alone.
    largest : int
        Nodes of a component at most; 0 finds none.
    """
    if largest == 0:
        return np.zeros(1, np.int64), nodes[:0]
    done = np.zeros(network.nodes, bool)
    first, member = np.empty(len(nodes) + 1, np.int64), np.empty(len(nodes) * largest, np.int32)
    count = _small_components(network.rows.start, network.rows.neighbor, nodes, largest, done, first, member)
    return first[: count + 1], member[: first[count]]


@numba.njit(nogil=True, cache=True)
def _solve_one(joint, flow, leaving, entering, parted, mu, lowest):  # type: ignore[no-untyped-def]
    """Best partition of k nodes: lowest[i] is the lowest node in i's community.

    joint (k, k): weight between two nodes.
    """
    k = flow.shape[0]
    sets = 1 << k
    cost = np.empty(sets)
    s_flow, s_exit, s_enter = np.zeros(sets), np.zeros(sets), np.zeros(sets)
    is_allowed = np.ones(sets, np.bool_)
    for chosen in range(1, sets):
        low = 0
        while not (chosen >> low) & 1:
            low += 1
        rest, inner = chosen & (chosen - 1), 0.0
        is_allowed[chosen] = is_allowed[rest]
        for other in range(low + 1, k):
            if (rest >> other) & 1:
                inner += joint[low, other]
                if parted[low, other]:
                    is_allowed[chosen] = False
        s_flow[chosen] = s_flow[rest] + flow[low]
        s_exit[chosen] = s_exit[rest] + leaving[low] - 2 * inner
        s_enter[chosen] = s_enter[rest] + entering[low] - 2 * inner
        cost[chosen] = term(s_flow[chosen], s_exit[chosen], s_enter[chosen], mu)
    best, choice = np.zeros(sets), np.zeros(sets, np.int64)
    for chosen in range(1, sets):
        low = chosen & -chosen
        rest = chosen ^ low
        best[chosen] = np.inf
        # All subsets of the rest in ascending order: the smallest set of equals comes first and stays.
        extra = 0
        while True:
            own = extra | low
            if is_allowed[own]:
                total = cost[own] + best[chosen ^ own]
                if total < best[chosen] - TIE * s_flow[chosen]:
                    best[chosen], choice[chosen] = total, own
            if extra == rest:
                break
            extra = (extra - rest) & rest
    left = sets - 1
    while left:
        own, low = choice[left], -1
        for node in range(k):
            if (own >> node) & 1:
                if low < 0:
                    low = node
                lowest[node] = low
        left ^= own


@numba.njit(nogil=True, cache=True)
def _solve(  # type: ignore[no-untyped-def]
    start, neighbor, weight, flow, leaving, entering, first, nodes, rank_start, group, value, mu, lowest
):
    for one in range(first.shape[0] - 1):
        begin, end = first[one], first[one + 1]
        k = end - begin
        own = nodes[begin:end]
        joint, parted = np.zeros((k, k)), np.zeros((k, k), np.bool_)
        for i in range(k):
            for at in range(start[own[i]], start[own[i] + 1]):
                joint[i, np.searchsorted(own, neighbor[at])] += weight[at]
            for j in range(i):
                a, b = begin + i, begin + j
                ends = rank_start[a], rank_start[a + 1], rank_start[b], rank_start[b + 1]
                parted[i, j] = parted[j, i] = conflict(a, b, *ends, group, value)
        part = np.empty(k, np.int64)
        _solve_one(joint, flow[own], leaving[own], entering[own], parted, mu[one], part)
        for i in range(k):
            lowest[begin + i] = own[part[i]]


def solve_small(network: Network, first: Int64, nodes: Int32, apart: Apart, mu: Float64) -> Int32:
    """Return the lowest node (S,) in the best community of each of `nodes`.

    Parameters
    ----------
    network : Network
        The graph.
    first, nodes : (C + 1,) int64 and (S,) int32
        Whole components, as `small_components` returns them.
    apart : Apart
        Nodes that no community may hold together.
    mu : (C,) float64
        Bits per unit of exit, for each component.
    """
    rank_start, group = apart.memberships(nodes)
    rows, lowest = network.rows, np.empty(len(nodes), np.int32)
    _solve(
        rows.start, rows.neighbor, rows.weight, network.flow, network.exit, network.enter,
        first, nodes, rank_start, group, apart.value[nodes], mu, lowest,
    )  # fmt: skip
    return lowest
