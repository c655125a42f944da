"""A region of a graph as a small problem of its own.

Its nodes are free. Each community around it is one frozen node.
"""

from dataclasses import dataclass

import numba
import numpy as np

from raycluster.arrays import Int32
from raycluster.kernels.map_equation.apart import Apart
from raycluster.kernels.map_equation.flow import Flows, Network
from raycluster.kernels.map_equation.links import Rows
from raycluster.kernels.map_equation.local_moves import Problem


@dataclass(frozen=True)
class Region:
    """A problem: nodes 0..R-1 are the region's, the others the communities around."""

    problem: Problem
    nodes: Int32
    """(R,) the number of each in the whole graph, ascending."""
    around: Int32
    """(B,) community that each frozen node stands for."""


@numba.njit(nogil=True, cache=True)
def _condense(  # type: ignore[no-untyped-def]
    start, neighbor, weight, nodes, membership, place, seat, around, new_start, new_neighbor, new_weight
):
    """Copy the links of `nodes`; ends outside become frozen nodes of communities."""
    for rank in range(nodes.shape[0]):
        place[nodes[rank]] = rank + 1
    put, count = 0, 0
    new_start[0] = 0
    for rank in range(nodes.shape[0]):
        for at in range(start[nodes[rank]], start[nodes[rank] + 1]):
            other = neighbor[at]
            if place[other]:
                new_neighbor[put] = place[other] - 1
            else:
                community = membership[other]
                if seat[community] == 0:
                    around[count] = community
                    count += 1
                    seat[community] = count
                new_neighbor[put] = nodes.shape[0] + seat[community] - 1
            new_weight[put] = weight[at]
            put += 1
        new_start[rank + 1] = put
    return count


def condense(
    network: Network,
    nodes: Int32,
    membership: Int32,
    flows: Flows,
    apart: Apart,
    held: Int32,
    exits: float = np.nan,
) -> Region:
    """Return the region of `nodes`.

    Parameters
    ----------
    nodes : (R,) int32, ascending
        All members of the communities to be solved, and no other node.
    membership : (N,) int32
        Community of each node of the graph.
    flows : (C,) each
        Flows of the communities; only those around the region are read.
    held : (C, D) int32
        Value of each community in each column of `apart`, -1 for none.
    exits : float
        Exits of all communities but those of `nodes`; not a number where mu is frozen.
    """
    rows, num = network.rows, len(nodes)
    links = int((rows.start[nodes + 1] - rows.start[nodes]).sum())
    # Zeros that are never written take no memory and no time.
    place, seat = np.zeros(network.nodes, np.int32), np.zeros(len(flows.flow), np.int32)
    around, start = np.empty(links, np.int32), np.empty(num + 1, np.int64)
    neighbor, weight = np.empty(links, np.int32), np.empty(links, np.float32)
    count = _condense(
        rows.start, rows.neighbor, rows.weight, nodes, membership, place, seat, around, start, neighbor, weight
    )
    around = around[:count].copy()
    rules = _local_rules(nodes, membership, apart, np.concatenate([apart.value[nodes], held[around]]), place, seat)
    outside = exits - float(flows.enter[around].sum())
    local = Network(
        _with_frozen_rows(Rows(start, neighbor, weight), count),
        *(
            np.concatenate([of_nodes[nodes], of_all[around]])
            for of_nodes, of_all in zip(network.flows, flows, strict=True)
        ),
    )
    return Region(Problem(local, np.arange(num + count) >= num, rules, outside), nodes, around)


def _with_frozen_rows(rows: Rows, count: int) -> Rows:
    """Return the rows of the free nodes, followed by those of `count` frozen nodes."""
    num = len(rows.start) - 1
    owner = np.repeat(np.arange(num, dtype=np.int32), np.diff(rows.start))
    outward = np.flatnonzero(rows.neighbor >= num)
    outward = outward[np.argsort(rows.neighbor[outward], kind="stable")]
    length = np.bincount(rows.neighbor[outward] - num, minlength=count)
    return Rows(
        np.concatenate([rows.start, rows.start[-1] + np.cumsum(length)]).astype(np.int64),
        np.concatenate([rows.neighbor, owner[outward]]),
        np.concatenate([rows.weight, rows.weight[outward]]),
    )


def _local_rules(nodes: Int32, membership: Int32, apart: Apart, value: Int32, place: Int32, seat: Int32) -> Apart:
    """Return the rules of the region; members outside count for their frozen node."""
    member, group = apart.shared(nodes)
    inside, outside = place[member] - 1, seat[membership[member]] - 1
    local = np.where(inside >= 0, inside, np.where(outside >= 0, outside + len(nodes), -1))
    kept = local >= 0
    names, number = np.unique(group[kept], return_inverse=True)
    return Apart.make(local[kept], number, len(names), value, len(value))
