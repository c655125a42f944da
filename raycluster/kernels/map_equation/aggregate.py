"""The network of modules: its nodes are the modules of a network, its links what runs between them."""

import numba
import numpy as np

from raycluster.arrays import Int32
from raycluster.kernels.map_equation.flow import Flows, Network
from raycluster.kernels.map_equation.links import Rows


@numba.njit(nogil=True, cache=True)
def _numbered(of):  # type: ignore[no-untyped-def]
    highest = -1
    for module in of:
        highest = max(highest, module)
    number = np.full(highest + 1, -1, np.int32)
    kept = np.empty(of.shape[0], np.int32)
    found = 0
    for node in range(of.shape[0]):
        module = of[node]
        if number[module] < 0:
            number[module] = found
            kept[found] = module
            found += 1
        of[node] = number[module]
    return kept[:found].copy()


def numbered(of: Int32) -> Int32:
    """Renumber modules 0, 1, ... by their lowest node, in place; returns the old number of each."""
    kept: Int32 = _numbered(of)
    return kept


@numba.njit(nogil=True, cache=True)
def _members(of, modules):  # type: ignore[no-untyped-def]
    """Nodes in the order of their modules, and where each module's begin."""
    first = np.zeros(modules + 1, np.int64)
    for module in of:
        first[module + 1] += 1
    for module in range(modules):
        first[module + 1] += first[module]
    place, member = first[:-1].copy(), np.empty(of.shape[0], np.int32)
    for node in range(of.shape[0]):
        member[place[of[node]]] = node
        place[of[node]] += 1
    return member, first


@numba.njit(nogil=True, cache=True)
def _load(start, member, first, load, most):  # type: ignore[no-untyped-def]
    """Entries in the rows of all modules before each, and the most links that these can come to."""
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
    start, neighbor, weight, of, member, first, bounds, room, new_neighbor, new_weight, length
):
    modules = first.shape[0] - 1
    for part in numba.prange(bounds.shape[0] - 1):
        sums = np.zeros(modules)
        touched = np.empty(modules, np.int32)
        put = room[part]
        for module in range(bounds[part], bounds[part + 1]):
            count = 0
            for rank in range(first[module], first[module + 1]):
                node = member[rank]
                for at in range(start[node], start[node + 1]):
                    other = of[neighbor[at]]
                    if other == module or weight[at] == 0:
                        continue
                    if sums[other] == 0.0:
                        touched[count] = other
                        count += 1
                    sums[other] += weight[at]
            for rank in range(count):
                other = touched[rank]
                new_neighbor[put + rank] = other
                new_weight[put + rank] = np.float32(sums[other])
                sums[other] = 0.0
            put += count
            length[module] = count


@numba.njit(nogil=True, cache=True)
def _join(bounds, room, start, neighbor, weight):  # type: ignore[no-untyped-def]
    for part in range(bounds.shape[0] - 1):
        begin = start[bounds[part]]
        for at in range(begin, start[bounds[part + 1]]):
            neighbor[at] = neighbor[room[part] + at - begin]
            weight[at] = weight[room[part] + at - begin]


def module_network(network: Network, of: Int32, modules: Flows, threads: int) -> Network:
    """The network of `modules`, whose numbers each node has in `of` (N,).

    What is written takes no more memory than the new links: pages that are set aside but not touched take none.
    """
    rows = network.rows
    count = len(modules.flow)
    member, first = _members(of, count)
    load, most = np.empty(count + 1, np.int64), np.empty(count + 1, np.int64)
    _load(rows.start, member, first, load, most)
    bounds = np.searchsorted(load, load[-1] * np.arange(threads + 1) // threads).astype(np.int64)
    bounds[-1] = count
    room = most[bounds]
    neighbor, weight = np.empty(most[-1], np.int32), np.empty(most[-1], np.float32)
    length = np.empty(count, np.int64)
    _sum_links(rows.start, rows.neighbor, rows.weight, of, member, first, bounds, room, neighbor, weight, length)
    start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    _join(bounds, room, start, neighbor, weight)
    return Network(Rows(start, neighbor[: start[-1]], weight[: start[-1]]), *modules)
