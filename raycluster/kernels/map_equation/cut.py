"""A community that holds what must be apart, cut where its links are lightest."""

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from raycluster.arrays import Bool, Float64, Int32
from raycluster.kernels.map_equation.apart import Apart, broken_communities, ranges
from raycluster.kernels.map_equation.flow import Network

HEAVIEST = 2**30
"""Capacities are integers that sum to at most this (int32 flows); links 2^30 times lighter than all together count as 1."""


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
    A community is cut between two nodes at a time. Of equal cuts the one nearest the lower node is taken. It does not
    depend on how the flow was found.
    """
    result, next_number = membership.copy(), int(membership.max(initial=-1)) + 1
    todo = broken_communities(membership, apart)
    while len(todo):
        for community in todo:
            nodes = np.flatnonzero(result == community).astype(np.int32)
            one, other = _first_pair(nodes, apart)
            far = ~_near_side(network, nodes, one, other)
            result[nodes[far]] = next_number
            next_number += 1
        todo = broken_communities(result, apart)
    return result


def _first_pair(nodes: Int32, apart: Apart) -> tuple[int, int]:
    """Return the ranks of the first two of `nodes`, ascending, that must be apart."""
    pairs = []
    start, group = apart.memberships(nodes)
    owner = np.repeat(np.arange(len(nodes)), np.diff(start))
    order = np.lexsort((owner, group))
    same = np.flatnonzero(group[order][1:] == group[order][:-1])
    if len(same):
        ends = np.stack([owner[order][same], owner[order][same + 1]])
        first = np.lexsort((ends[1], ends[0]))[0]
        pairs.append((int(ends[0, first]), int(ends[1, first])))
    for column in apart.value[nodes].T:
        has = np.flatnonzero(column >= 0)
        differs = has[column[has] != column[has[0]]] if len(has) else has
        if len(differs):
            pairs.append((int(has[0]), int(differs[0])))
    return min(pairs)


def _near_side(network: Network, nodes: Int32, one: int, other: int) -> Bool:
    """Return which of `nodes` stay with rank `one` where it is cut from rank `other`."""
    graph, weight = _inside(network, nodes)
    if len(weight) == 0:
        return np.arange(len(nodes)) != other
    whole = np.maximum(1, np.floor(weight * (HEAVIEST / weight.sum()) / 2)).astype(np.int32)
    capacity = csr_array((whole, graph.indices, graph.indptr), graph.shape)
    flow = maximum_flow(capacity, one, other).flow
    left = (capacity - flow).tocsr()
    left.eliminate_zeros()
    near = np.zeros(len(nodes), bool)
    near[breadth_first_order(left, one, return_predecessors=False)] = True
    return near


def _inside(network: Network, nodes: Int32) -> tuple[csr_array, Float64]:
    """Links between `nodes` as a symmetric matrix, and its values."""
    rows = network.rows
    begin, end = rows.start[nodes], rows.start[nodes + 1]
    at = ranges(begin, end)
    owner = np.repeat(np.arange(len(nodes), dtype=np.int32), end - begin)
    rank = np.minimum(np.searchsorted(nodes, rows.neighbor[at]), len(nodes) - 1)
    kept = (nodes[rank] == rows.neighbor[at]) & (rows.weight[at] > 0)
    graph = coo_array(
        (rows.weight[at][kept].astype(np.float64), (owner[kept], rank[kept])), (len(nodes), len(nodes))
    ).tocsr()
    graph.sum_duplicates()
    return graph, graph.data
