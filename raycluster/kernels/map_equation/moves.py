"""Local moving: nodes go to the neighboring module, or a new one, that shortens the code most, until none gains.

    L = g(sum enter_m) - sum g(enter_m) - sum g(exit_m) + sum g(exit_m + flow_m) - sum g(flow_a),   g(x) = x log2 x

(Rosvall and Bergstrom 2008; undirected: enter = exit.) Nodes are taken in the order of their numbers, in which their rows
lie in memory, and in batches. The best move of each node of a batch is found in parallel against the modules as they are;
then moves are carried out one by one, each if it still gains, and anew for a node with a neighbor in the batch. So the
outcome does not depend on the number of threads. A node is looked at again when a neighbor has moved.
"""

import math
import mmap

import numba
import numpy as np

from raycluster.arrays import Float64, Int32
from raycluster.kernels.map_equation.aggregate import numbered
from raycluster.kernels.map_equation.flow import Flows, Network
from raycluster.kernels.threads import at_most

LEAST_GAIN = 1e-10
"""Bits, of a flow of 1, that a move must gain."""
SMALLEST_PART, LARGEST_PART = 512, 16
"""A batch is between 1/512 of the nodes, where most move and neighbors should not meet in one, and 1/16."""
LARGEST_BATCH = 65_536
LINKS_A_THREAD = 100_000
"""Graphs with fewer links a thread are worked on by fewer threads: handing out batches takes longer than one needs."""
MOST_THREADS = 8
"""A thread takes 16 bytes a node; moves are carried out by one, so that more of them gain little."""
FLOW, EXIT, ENTER, TERM, LOG_EXIT, LOG_ENTER, LOG_BOTH = range(7)
_NEW, _STAY = np.int32(-2), np.int32(-1)
_NATURAL = 1 / math.log(2)


@numba.njit(nogil=True, cache=True)
def g(x):  # type: ignore[no-untyped-def]
    """x log2 x; 0 for 0, and for what rounding has left below it."""
    return x * math.log2(x) if x > 0.0 else 0.0


@numba.njit(nogil=True, cache=True)
def _log(x):  # type: ignore[no-untyped-def]
    return math.log2(x) if x > 0.0 else 0.0


@numba.njit(nogil=True, cache=True)
def _term(flow, leaving, entering):  # type: ignore[no-untyped-def]
    """What a module adds to L besides its part of the sum over enter."""
    out = g(leaving)
    return g(leaving + flow) - out - (out if entering == leaving else g(entering))


@numba.njit(nogil=True, cache=True)
def _put(state, flow, leaving, entering):  # type: ignore[no-untyped-def]
    state[FLOW], state[EXIT], state[ENTER] = flow, leaving, entering
    state[TERM] = _term(flow, leaving, entering)
    state[LOG_EXIT], state[LOG_ENTER], state[LOG_BOTH] = _log(leaving), _log(entering), _log(leaving + flow)


@numba.njit(nogil=True, cache=True)
def _left(own, flow, leaving, entering, to_own, total):  # type: ignore[no-untyped-def]
    """What L gains where a node is taken out of its module: less the old sum over enter, without the new one."""
    rest = own[ENTER] - entering + 2 * to_own
    return _term(own[FLOW] - flow, own[EXIT] - leaving + 2 * to_own, rest) - own[TERM] - g(total)


@numba.njit(nogil=True, cache=True)
def _joined(to, flow, leaving, entering, weight, total):  # type: ignore[no-untyped-def]
    """What L gains where a node comes to a module to which it has a weight; `total` is the sum over enter without it."""
    more_out, more_in = leaving - 2 * weight, entering - 2 * weight
    return g(total + more_in) + _term(to[FLOW] + flow, to[EXIT] + more_out, to[ENTER] + more_in) - to[TERM]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _joined_at_least(to, flow, leaving, entering, weight, total, log_total):  # type: ignore[no-untyped-def]
    """A lower bound of `_joined` without a logarithm, from tangents: g is convex and log concave."""
    more_out, more_in = leaving - 2 * weight, entering - 2 * weight
    if more_out < 0.0 or more_in < 0.0:
        return -np.inf
    return (
        total * log_total + more_in * (log_total + _NATURAL) + (more_out + flow) * (to[LOG_BOTH] + _NATURAL)
        - more_out * to[LOG_EXIT] - (to[EXIT] + more_out) * _NATURAL * more_out / to[EXIT]
        - more_in * to[LOG_ENTER] - (to[ENTER] + more_in) * _NATURAL * more_in / to[ENTER]
    )  # fmt: skip


@numba.njit(nogil=True, cache=True)
def _best(  # type: ignore[no-untyped-def]
    node, start, neighbor, weight, n_flow, n_exit, n_enter, of, size, state, total, least, sums, touched
):
    """Module to go to, weight to the own and to that module, and whether a neighbor is in the same batch.

    Nodes of the batch have ~module in `of`. Which link comes first in a row has no influence.
    """
    own = of[node]
    own = ~own if own < 0 else own
    count, met = 0, False
    for at in range(start[node], start[node + 1]):
        module = of[neighbor[at]]
        if module < 0:
            module = ~module
            met = True
        so_far = sums[module]
        touched[count] = module
        count += so_far == 0.0
        sums[module] = so_far + weight[at]
    to_own = sums[own]
    flow, leaving, entering = n_flow[node], n_exit[node], n_enter[node]
    away = _left(state[own], flow, leaving, entering, to_own, total)
    rest = total - entering + 2 * to_own
    log_rest = _log(rest)
    best, to_best, change = _STAY, 0.0, -least
    if size[own] > 1:
        found = away + g(rest + entering) + _term(flow, leaving, entering)
        if found < change:
            best, change = _NEW, found
    sums[own] = 0.0
    nearest = 0
    for rank in range(1, count):
        if sums[touched[rank]] > sums[touched[nearest]]:
            nearest = rank
    for rank in range(count):
        if rank == 0:
            module = touched[nearest]
        elif rank == nearest:
            module = touched[0]
        else:
            module = touched[rank]
        to = sums[module]
        sums[module] = 0.0
        if module == own:
            continue
        if away + _joined_at_least(state[module], flow, leaving, entering, to, rest, log_rest) > change + least:
            continue
        found = away + _joined(state[module], flow, leaving, entering, to, rest)
        if found < change or (found == change and module < best):
            best, to_best, change = module, to, found
    return best, to_own, to_best, met


@numba.njit(nogil=True, parallel=True, cache=True)
def _move(  # type: ignore[no-untyped-def]
    start, neighbor, weight, n_flow, n_exit, n_enter, of, size, state, smallest, largest, parts, least, enough
):
    nodes = of.shape[0]
    free = np.empty(nodes, np.int32)
    unused, widest, total = 0, 0, 0.0
    for module in range(nodes - 1, -1, -1):
        _put(state[module], state[module, FLOW], state[module, EXIT], state[module, ENTER])
        total += state[module, ENTER]
        if size[module] == 0:
            free[unused] = module
            unused += 1
        widest = max(widest, start[module + 1] - start[module])
    active = np.ones(nodes, np.uint8)
    sums, touched = np.zeros((parts, nodes)), np.empty((parts, widest + 1), np.int32)
    taken, best, met = np.empty(largest, np.int32), np.empty(largest, np.int32), np.empty(largest, np.bool_)
    to_own, to_best = np.empty(largest), np.empty(largest)
    all_moved, batch = 0, smallest
    while True:
        position, before, gained = 0, all_moved, 0.0
        while position < nodes:
            count, batch_before = 0, all_moved
            while position < nodes and count < batch:
                if active[position]:
                    active[position] = 0
                    taken[count] = position
                    of[position] = ~of[position]
                    count += 1
                position += 1
            for part in numba.prange(parts):
                for k in range(count * part // parts, count * (part + 1) // parts):
                    best[k], to_own[k], to_best[k], met[k] = _best(
                        taken[k], start, neighbor, weight, n_flow, n_exit, n_enter,
                        of, size, state, total, least, sums[part], touched[part],
                    )  # fmt: skip
            for k in range(count):
                of[taken[k]] = ~of[taken[k]]
            for k in range(count):
                node, to = taken[k], best[k]
                if to != _STAY and (met[k] or to == _NEW):
                    to, to_own[k], to_best[k], _ = _best(
                        node, start, neighbor, weight, n_flow, n_exit, n_enter,
                        of, size, state, total, least, sums[0], touched[0],
                    )  # fmt: skip
                    best[k] = to
                if to == _STAY:
                    continue
                if to == _NEW:
                    to = free[unused - 1]
                own = of[node]
                flow, leaving, entering = n_flow[node], n_exit[node], n_enter[node]
                change = _left(state[own], flow, leaving, entering, to_own[k], total)
                rest = total - entering + 2 * to_own[k]
                change += _joined(state[to], flow, leaving, entering, to_best[k], rest)
                if change >= -least:
                    active[node] = 1
                    best[k] = _STAY
                    continue
                size[own] -= 1
                size[to] += 1
                if size[to] == 1:
                    unused -= 1
                out, into = leaving - 2 * to_own[k], entering - 2 * to_own[k]
                if size[own] == 0:
                    free[unused] = own
                    unused += 1
                    _put(state[own], 0.0, 0.0, 0.0)
                else:
                    _put(state[own], state[own, FLOW] - flow, state[own, EXIT] - out, state[own, ENTER] - into)
                out, into = leaving - 2 * to_best[k], entering - 2 * to_best[k]
                _put(state[to], state[to, FLOW] + flow, state[to, EXIT] + out, state[to, ENTER] + into)
                total = rest + into
                of[node] = to
                all_moved += 1
                gained -= change
            for part in numba.prange(parts):
                for k in range(count * part // parts, count * (part + 1) // parts):
                    if best[k] != _STAY:
                        for at in range(start[taken[k]], start[taken[k] + 1]):
                            if of[neighbor[at]] != of[taken[k]]:
                                active[neighbor[at]] = 1
            batch = min(2 * batch, largest) if 16 * (all_moved - batch_before) < count else smallest
        if gained <= enough:
            return all_moved, all_moved == before and not active.any()


def useful_threads(links: int, threads: int) -> int:
    """How many of `threads` are worth their start and their memory."""
    return min(threads, MOST_THREADS, 1 + links // LINKS_A_THREAD)


def _lines(count: int) -> Float64:
    """Zeros (count, 8): a cache line each, of memory that goes back to the system with them."""
    memory = mmap.mmap(-1, 64 * count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory).reshape(count, 8)


def move(network: Network, of: Int32, modules: Flows, threads: int, enough: float) -> tuple[int, bool, Flows]:
    """Move nodes until a pass over them shortens the code by no more than `enough` bits.

    of int32 (N,), each node's module in 0, 1, ..., changes in place and is numbered anew, by the lowest node of a module;
    `modules` are the flows of the modules before. Returns the moves, whether not one is left to make, and the flows after.
    """
    rows, nodes, total = network.rows, network.nodes, network.flow.sum()
    size = np.bincount(of, minlength=nodes).astype(np.int32)
    state = _lines(nodes)
    for column, values in ((FLOW, modules.flow), (EXIT, modules.exit), (ENTER, modules.enter)):
        state[: len(values), column] = values
    smallest = min(LARGEST_BATCH, max(1, nodes // SMALLEST_PART))
    largest = min(LARGEST_BATCH, max(1, nodes // LARGEST_PART))
    parts = useful_threads(len(rows.neighbor) // 2, threads)
    with at_most(parts):
        moved, settled = _move(
            rows.start, rows.neighbor, rows.weight, network.flow, network.exit, network.enter,
            of, size, state, smallest, largest, parts, LEAST_GAIN * total, enough * total,
        )  # fmt: skip
    kept = numbered(of)
    return moved, settled, Flows(*(np.ascontiguousarray(state[kept, column]) for column in (FLOW, EXIT, ENTER)))
