"""Communities that hold what must be apart, cut where their links are lightest.

All of them are cut at once, each between its first two nodes that must be apart, until none is left: a flow from one
source to the first nodes, and from the second nodes to one sink, is the flow of each community by itself.
"""

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from raycluster.arrays import Bool, Int32, Int64
from raycluster.kernels import numba
from raycluster.kernels.map_equation.apart import Apart, broken_communities
from raycluster.kernels.map_equation.flow import Network

HEAVIEST = 2**20
"""Integer capacities of a community sum to about this. Links a million times lighter than all together count as 1."""
COMMUNITIES_PER_CALL = 1_000
"""Communities of one flow, so that all capacities together stay below 2^31 (int32). Results do not depend on it."""


def cut_violations(network: Network, membership: Int32, apart: Apart) -> Int32:
    """Return communities that break no rule: others are cut where links are lightest.

    Parameters
    ----------
    network : Network
        M nodes.
    membership : (M,) int32
        Communities before. Those that break no rule keep their number, new ones follow the highest.
    apart : Apart
        The rules.

    Notes
    -----
    Of equal cuts the one nearest the lower node is taken. It does not depend on how the flow was found.
    """
    result, next_number = membership.copy(), int(membership.max(initial=-1)) + 1
    broken = broken_communities(result, apart)
    while len(broken):
        for begin in range(0, len(broken), COMMUNITIES_PER_CALL):
            some = broken[begin : begin + COMMUNITIES_PER_CALL]
            nodes = np.flatnonzero(np.isin(result, some)).astype(np.int32)
            number = np.searchsorted(some, result[nodes])
            far = ~_near_sides(network, nodes, number, *_first_pairs(nodes, number, apart))
            result[nodes[far]] = next_number + number[far]
            next_number += len(some)
        broken = broken_communities(result, apart)
    return result


def _first_pairs(nodes: Int32, number: Int64, apart: Apart) -> tuple[Int64, Int64]:
    """Ranks of the first two of `nodes` that must be apart in each community.

    `nodes` (R,) are ascending, `number` (R,) names the community of each from 0 without gaps.
    """
    start, group = apart.memberships(nodes)
    owner = np.repeat(np.arange(len(nodes)), np.diff(start))
    order = np.lexsort((owner, group, number[owner]))
    owner, group = owner[order], group[order]
    same = np.flatnonzero((group[1:] == group[:-1]) & (number[owner[1:]] == number[owner[:-1]]))
    ones, others = [owner[same]], [owner[same + 1]]
    for column in apart.value[nodes].T:
        has = np.flatnonzero(column >= 0)
        first = has[np.unique(number[has], return_index=True)[1]]
        lowest = np.full(int(number.max()) + 1, -1)
        lowest[number[first]] = first
        differs = has[column[has] != column[lowest[number[has]]]]
        ones.append(lowest[number[differs]])
        others.append(differs)
    one, other = np.concatenate(ones), np.concatenate(others)
    order = np.lexsort((other, one, number[one]))
    at = order[np.unique(number[one[order]], return_index=True)[1]]
    return one[at], other[at]


def _near_sides(network: Network, nodes: Int32, number: Int64, one: Int64, other: Int64) -> Bool:
    """Which of `nodes` stay with rank `one` of their community, cut from rank `other`."""
    size, count = len(nodes), len(one)
    graph = _inside(network, nodes, number)
    # Half of the capacities: each link stands in the matrix twice.
    heavy = HEAVIEST / np.maximum(np.bincount(number[graph.row], graph.data, count), 1e-30) / 2
    whole = np.maximum(1, np.floor(graph.data * heavy[number[graph.row]]))
    most = np.full(count, HEAVIEST + size)
    capacity = coo_array(
        (
            np.concatenate([whole, most, most]).astype(np.int32),
            (
                np.concatenate([graph.row, np.full(count, size), other]),
                np.concatenate([graph.col, one, np.full(count, size + 1)]),
            ),
        ),
        (size + 2, size + 2),
    ).tocsr()
    flow = maximum_flow(capacity, size, size + 1).flow
    left = csr_array(capacity - flow)
    left.eliminate_zeros()
    near = np.zeros(size + 2, bool)
    near[breadth_first_order(left, size, return_predecessors=False)] = True
    return near[:size]


def _inside(network: Network, nodes: Int32, number: Int64) -> coo_array:
    """Links within communities between `nodes`, as a symmetric matrix."""
    rows = network.rows
    most = int((rows.start[nodes + 1] - rows.start[nodes]).sum())
    place = np.zeros(network.nodes, np.int32)
    place[nodes] = np.arange(1, len(nodes) + 1, dtype=np.int32)
    rank, owner, weight = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most)
    put = _links_inside(rows.start, rows.neighbor, rows.weight, nodes, number, place, rank, owner, weight)
    return coo_array((weight[:put], (rank[:put], owner[:put])), (len(nodes), len(nodes)))


@numba.njit(nogil=True, cache=True)
def _links_inside(start, neighbor, weight, nodes, number, place, rank, owner, total):  # type: ignore[no-untyped-def]
    """Write each link once per end, by its ends; returns their number.

    `place` is 0 where a node is not there.
    """
    put = 0
    for own in range(nodes.shape[0]):
        first = put
        for at in range(start[nodes[own]], start[nodes[own] + 1]):
            other = place[neighbor[at]] - 1
            if other < 0 or number[other] != number[own] or weight[at] <= 0:
                continue
            # In order of the other end; parallel links are one.
            spot = put
            while spot > first and rank[spot - 1] > other:
                spot -= 1
            if spot > first and rank[spot - 1] == other:
                total[spot - 1] += weight[at]
                continue
            for later in range(put, spot, -1):
                rank[later], total[later] = rank[later - 1], total[later - 1]
            rank[spot], total[spot], owner[put] = other, weight[at], own
            put += 1
    return put
