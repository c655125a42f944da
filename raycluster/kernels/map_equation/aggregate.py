"""The network whose nodes are the modules of another, linked by what flows there.

Shapes: N nodes, M modules, P tasks of a parallel loop; `member` (N,) holds the nodes of module m at first[m]:first[m + 1].
"""

import numba
import numpy as np

from raycluster.arrays import Int32
from raycluster.kernels.map_equation.flow import Flows, Network
from raycluster.kernels.map_equation.links import Rows


@numba.njit(nogil=True, cache=True)
def _numbered(membership):  # type: ignore[no-untyped-def]
    """Renumber modules by their lowest node, in place; return the old numbers (M,)."""
    highest = -1
    for module in membership:
        highest = max(highest, module)
    number = np.full(highest + 1, -1, np.int32)
    kept = np.empty(membership.shape[0], np.int32)
    count = 0
    for node in range(membership.shape[0]):
        module = membership[node]
        if number[module] < 0:
            number[module] = count
            kept[count] = module
            count += 1
        membership[node] = number[module]
    return kept[:count].copy()


def numbered(membership: Int32) -> Int32:
    """Renumber modules 0, 1, ... by their lowest node, in place; return the old ones."""
    kept: Int32 = _numbered(membership)
    return kept


@numba.njit(nogil=True, cache=True)
def _members(membership, modules):  # type: ignore[no-untyped-def]
    """Return nodes (N,) in the order of modules, and the start of each (M + 1,)."""
    # A counting sort: nodes of one module stay in ascending order.
    first = np.zeros(modules + 1, np.int64)
    for module in membership:
        first[module + 1] += 1
    for module in range(modules):
        first[module + 1] += first[module]
    place, member = first[:-1].copy(), np.empty(membership.shape[0], np.int32)
    for node in range(membership.shape[0]):
        member[place[membership[node]]] = node
        place[membership[node]] += 1
    return member, first


@numba.njit(nogil=True, cache=True)
def _load(start, member, first, load, most):  # type: ignore[no-untyped-def]
    """Fill load and most (M + 1,): entries before each module, and links at most."""
    load[0], most[0] = 0, 0
    modules = load.shape[0] - 1
    for module in range(modules):
        entries = 0
        for rank in range(first[module], first[module + 1]):
            entries += start[member[rank] + 1] - start[member[rank]]
        load[module + 1] = load[module] + entries
        most[module + 1] = most[module] + min(entries, modules - 1)


@numba.njit(nogil=True, parallel=True, cache=True)
def _sum_links(  # type: ignore[no-untyped-def]
    start, neighbor, weight, membership, member, first, bounds, room, new_neighbor, new_weight, length
):
    """Write the links of modules bounds[p]..bounds[p + 1] from room[p], task by task.

    Parameters
    ----------
    start, neighbor, weight
        Rows of the nodes.
    membership, member, first
        Module of each node, and the nodes of each module.
    bounds, room : int64 (P + 1,)
        Modules of each task, and where the task writes.
    new_neighbor, new_weight
        The links, with gaps between the tasks.
    length : int64 (M,)
        Links of each module.
    """
    modules = first.shape[0] - 1
    for task in numba.prange(bounds.shape[0] - 1):
        sums = np.zeros(modules)
        touched = np.empty(modules, np.int32)
        put = room[task]
        for module in range(bounds[task], bounds[task + 1]):
            # Phase 1: float64 sums to every other module, exact in any order where weights lie on a grid.
            count = 0
            for rank in range(first[module], first[module + 1]):
                node = member[rank]
                for at in range(start[node], start[node + 1]):
                    other = membership[neighbor[at]]
                    if other == module or weight[at] == 0:
                        continue
                    if sums[other] == 0.0:
                        touched[count] = other
                        count += 1
                    sums[other] += weight[at]
            # Phase 2: written as float32, in the order in which modules were met; sums become zeros again.
            for rank in range(count):
                other = touched[rank]
                new_neighbor[put + rank] = other
                new_weight[put + rank] = np.float32(sums[other])
                sums[other] = 0.0
            put += count
            length[module] = count


@numba.njit(nogil=True, cache=True)
def _join(bounds, room, start, neighbor, weight):  # type: ignore[no-untyped-def]
    """Close the gaps between the tasks' links, in place."""
    for task in range(bounds.shape[0] - 1):
        begin = start[bounds[task]]
        for at in range(begin, start[bounds[task + 1]]):
            neighbor[at] = neighbor[room[task] + at - begin]
            weight[at] = weight[room[task] + at - begin]


def module_network(network: Network, membership: Int32, modules: Flows, threads: int) -> Network:
    """Return the network whose nodes are the modules of a network.

    Parameters
    ----------
    network : Network
        The nodes and their links.
    membership : int32 (N,)
        The module of each node, 0..M-1.
    modules : Flows
        Flows (M,) of the modules.
    threads : int
        Tasks of the parallel loop. The result does not depend on it, apart from the order of links in a row.

    Returns
    -------
    Network
        Without links inside modules. Memory is set aside for the most links that there can be; what is not written
        takes none.
    """
    rows = network.rows
    count = len(modules.flow)
    member, first = _members(membership, count)
    # Tasks have about equally many entries to read, and write where those before them can not.
    load, most = np.empty(count + 1, np.int64), np.empty(count + 1, np.int64)
    _load(rows.start, member, first, load, most)
    bounds = np.searchsorted(load, load[-1] * np.arange(threads + 1) // threads).astype(np.int64)
    bounds[-1] = count
    room = most[bounds]
    neighbor, weight = np.empty(most[-1], np.int32), np.empty(most[-1], np.float32)
    length = np.empty(count, np.int64)
    _sum_links(
        rows.start, rows.neighbor, rows.weight, membership, member, first, bounds, room, neighbor, weight, length
    )
    start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    _join(bounds, room, start, neighbor, weight)
    return Network(Rows(start, neighbor[: start[-1]], weight[: start[-1]]), *modules)
