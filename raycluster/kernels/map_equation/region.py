"""A region of a graph as a small problem of its own: its nodes are free, each community around it is one frozen node."""

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
    """Nodes 0..R-1 of `problem` are the region's, in ascending order; nodes R.. stand for the communities around it."""

    problem: Problem
    nodes: Int32
    """(R,) the number of each in the whole graph, ascending."""
    around: Int32
    """(B,) community that each frozen node stands for."""


@numba.njit(nogil=True, cache=True)
def _condense(  # type: ignore[no-untyped-def]
    start, neighbor, weight, nodes, of, place, seat, around, new_start, new_neighbor, new_weight
):
    """Links of `nodes` with ends inside the region as they are, and ends outside as the frozen node of the community."""
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
                community = of[other]
                if seat[community] == 0:
                    around[count] = community
                    count += 1
                    seat[community] = count
                new_neighbor[put] = nodes.shape[0] + seat[community] - 1
            new_weight[put] = weight[at]
            put += 1
        new_start[rank + 1] = put
    return count


def condense(network: Network, nodes: Int32, of: Int32, flows: Flows, apart: Apart, held: Int32) -> Region:
    """The region of `nodes`.

    Parameters
    ----------
    nodes : (R,) int32, ascending
        All members of the communities to be solved, and no other node.
    of : (N,) int32
        Community of each node of the graph.
    flows : (C,) each
        Flows of the communities; only those around the region are read.
    held : (C, D) int32
        Value of each community in each column of `apart`, -1 for none.
    """
    rows, num = network.rows, len(nodes)
    links = int((rows.start[nodes + 1] - rows.start[nodes]).sum())
    # Zeros that are never written take no memory and no time.
    place, seat = np.zeros(network.nodes, np.int32), np.zeros(len(flows.flow), np.int32)
    around, start = np.empty(links, np.int32), np.empty(num + 1, np.int64)
    neighbor, weight = np.empty(links, np.int32), np.empty(links, np.float32)
    count = _condense(rows.start, rows.neighbor, rows.weight, nodes, of, place, seat, around, start, neighbor, weight)
    around = around[:count].copy()
    rules = _local_rules(nodes, of, apart, np.concatenate([apart.value[nodes], held[around]]), place, seat)
    start = np.concatenate([start, np.full(count, start[-1])])
    local = Network(
        Rows(start, neighbor, weight),
        *(
            np.concatenate([of_nodes[nodes], of_all[around]])
            for of_nodes, of_all in zip(network.flows, flows, strict=True)
        ),
    )
    return Region(Problem(local, np.arange(num + count) >= num, rules), nodes, around)


def _local_rules(nodes: Int32, of: Int32, apart: Apart, value: Int32, place: Int32, seat: Int32) -> Apart:
    """Groups with a member in the region; members outside count for the frozen node of their community."""
    member, group = apart.shared(nodes)
    inside, outside = place[member] - 1, seat[of[member]] - 1
    local = np.where(inside >= 0, inside, np.where(outside >= 0, outside + len(nodes), -1))
    kept = local >= 0
    names, number = np.unique(group[kept], return_inverse=True)
    return Apart.make(local[kept], number, len(names), value, len(value))
