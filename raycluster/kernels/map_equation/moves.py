"""Local moving: nodes go to the module of the shortest code, until none gains.

Nodes are taken in the order of their numbers, in which their rows lie in memory, and in batches. The best move of each node of a
batch is found in parallel, against the modules as they are. Then moves are made one after the other, each if it still gains, and
searched anew for a node with a neighbor in the batch. So the result does not depend on the number of threads. A node is taken
again when a neighbor has moved.

Shapes: N nodes, and as many module numbers; B nodes at most in a batch; W entries of the widest row; P tasks of a parallel loop.
"""

import mmap
from typing import NamedTuple

import numba
import numpy as np

from raycluster.arrays import Array, Float64, Int32
from raycluster.kernels.map_equation.aggregate import numbered
from raycluster.kernels.map_equation.best_move import NEW, STAY, Modules, Scratch, best_move, graph_of
from raycluster.kernels.map_equation.flow import Flows, Network
from raycluster.kernels.map_equation.links import widest_row
from raycluster.kernels.map_equation.terms import ENTER, EXIT, FLOW, joining_change, leaving_change, put
from raycluster.kernels.threads import at_most

LEAST_GAIN = 1e-10
"""Bits, for a flow of 1, that a move must gain: float64 adds the terms of L to about 1e-14, so no move follows rounding. 1e-13 to
1e-9 give the same partitions of eleven graphs of 3,000 to 100,000 nodes; 1e-6 changes codelengths by up to 0.008 %."""
SMALLEST_PART, LARGEST_PART = 512, 16
"""A batch has between 1/512 of the nodes, where most of them move and neighbors should not meet in one, and 1/16. Larger batches
keep threads busy. 1/128 to 1/2048 and 1/4 to 1/512 change codelengths by up to 0.016 %, another seed by 0.027 %."""
LARGEST_BATCH = 65_536
"""Nodes in a batch at most: its proposals take 25 bytes per node. As little depends on it as on the parts above."""
FEW_MOVES = 16
"""A batch of which fewer than 1/16 moved is followed by one twice as large, any other by the smallest."""
LINKS_A_THREAD = 100_000
"""Links per thread at least. Below, handing out batches takes longer than a thread saves. Results do not depend on it."""
MOST_THREADS = 8
"""Threads at most. Each takes 16 bytes per node; moves are made by one, so that more threads gain little."""


class _Batch(NamedTuple):
    """Nodes that are taken together, each with its proposed move."""

    node: Array
    """(B,)."""
    target: Array
    """(B,): a module, `NEW` or `STAY`."""
    to_own: Array
    """(B,): weight of the links to the node's own module."""
    to_target: Array
    """(B,): weight of the links to the target."""
    met: Array
    """(B,): whether a neighbor is in the same batch, so that the proposal may be out of date."""


@numba.njit(nogil=True, cache=True)
def _start(modules):  # type: ignore[no-untyped-def]
    """Fill states and the stack of empty modules.

    Return its height, and sum of enter.
    """
    num_empty, total = 0, 0.0
    for module in range(len(modules.size) - 1, -1, -1):
        state = modules.state[module]
        put(state, state[FLOW], state[EXIT], state[ENTER])
        total += state[ENTER]
        if modules.size[module] == 0:
            modules.empty[num_empty] = module
            num_empty += 1
    return num_empty, total


@numba.njit(nogil=True, cache=True)
def _take(position, room, active, modules, batch):  # type: ignore[no-untyped-def]
    """Put the next active nodes into the batch; return how many, and where to go on."""
    count = 0
    while position < len(active) and count < room:
        if active[position]:
            active[position] = 0
            batch.node[count] = position
            modules.membership[position] = ~modules.membership[position]
            count += 1
        position += 1
    return count, position


@numba.njit(nogil=True, cache=True)
def _propose_range(first, last, graph, modules, total, least, batch, sums, touched):  # type: ignore[no-untyped-def]
    """Find the best moves of the nodes first..last of a batch, on one thread."""
    scratch = Scratch(sums, touched)
    for k in range(first, last):
        batch.target[k], batch.to_own[k], batch.to_target[k], batch.met[k] = best_move(
            batch.node[k], graph, modules, total, least, scratch
        )


@numba.njit(nogil=True, parallel=True, cache=True)
def _propose(count, graph, modules, total, least, batch, sums, touched):  # type: ignore[no-untyped-def]
    """Find the best move of all nodes of the batch against the modules as they are."""
    tasks = sums.shape[0]
    for task in numba.prange(tasks):
        first, last = count * task // tasks, count * (task + 1) // tasks
        _propose_range(first, last, graph, modules, total, least, batch, sums[task], touched[task])


@numba.njit(nogil=True, cache=True)
def _carry_out(count, graph, modules, num_empty, total, least, active, batch, scratch):  # type: ignore[no-untyped-def]
    """Make the proposed moves in the order of the nodes, each if it still gains.

    Parameters
    ----------
    count : int
        Nodes in the batch.
    graph : Graph
        Links and flows of all nodes.
    modules : Modules
        The partition; changes in place.
    num_empty, total : int and float
        Height of the stack of empty modules, and sum over enter of all modules.
    least : float
        What a move must gain.
    active : uint8 (N,)
        Nodes to take; one whose move no longer gains is taken again.
    batch : _Batch
        The nodes and their proposals; `target` is `STAY` afterwards for a node that did not move.
    scratch : Scratch
        Work space.

    Returns
    -------
    num_empty, total : int and float
        As they are now.
    moved, gained : int and float
        Moves made, and bits times the unit of flow that they saved.
    """
    for k in range(count):
        modules.membership[batch.node[k]] = ~modules.membership[batch.node[k]]
    moved, gained = 0, 0.0
    for k in range(count):
        node = batch.node[k]
        # A neighbor in the batch may have moved, and two nodes must not take the same empty module: search again.
        if batch.target[k] != STAY and (batch.met[k] or batch.target[k] == NEW):
            batch.target[k], batch.to_own[k], batch.to_target[k], _ = best_move(
                node, graph, modules, total, least, scratch
            )
        to, to_own, to_target = batch.target[k], batch.to_own[k], batch.to_target[k]
        if to == STAY:
            continue
        if to == NEW:
            to = modules.empty[num_empty - 1]
        # The modules may have changed by moves before this one: does it still gain?
        own = modules.membership[node]
        flow, leaving, entering = graph.flow[node], graph.exit[node], graph.enter[node]
        change = leaving_change(modules.state[own], flow, leaving, entering, to_own, total)
        rest = total - entering + 2 * to_own
        change += joining_change(modules.state[to], flow, leaving, entering, to_target, rest)
        if change >= -least:
            active[node] = 1
            batch.target[k] = STAY
            continue
        modules.membership[node] = to
        modules.size[own] -= 1
        modules.size[to] += 1
        if modules.size[to] == 1:
            num_empty -= 1
        # The links to the own module cross its border now; those to the target no longer cross that of the target.
        source, target = modules.state[own], modules.state[to]
        out, into = leaving - 2 * to_own, entering - 2 * to_own
        if modules.size[own] == 0:
            modules.empty[num_empty] = own
            num_empty += 1
            # Exactly 0, whatever rounding has left.
            put(source, 0.0, 0.0, 0.0)
        else:
            put(source, source[FLOW] - flow, source[EXIT] - out, source[ENTER] - into)
        out, into = leaving - 2 * to_target, entering - 2 * to_target
        put(target, target[FLOW] + flow, target[EXIT] + out, target[ENTER] + into)
        total = rest + into
        moved += 1
        gained -= change
    return num_empty, total, moved, gained


@numba.njit(nogil=True, parallel=True, cache=True)
def _wake(count, graph, modules, batch, active, tasks):  # type: ignore[no-untyped-def]
    """Take again the neighbors of moved nodes that are in another module."""
    for task in numba.prange(tasks):
        for k in range(count * task // tasks, count * (task + 1) // tasks):
            node = batch.node[k]
            if batch.target[k] != STAY:
                for at in range(graph.start[node], graph.start[node + 1]):
                    other = graph.neighbor[at]
                    # Two tasks may write to one node: both write 1.
                    if modules.membership[other] != modules.membership[node]:
                        active[other] = 1


@numba.njit(nogil=True, cache=True)
def _move(graph, modules, smallest, largest, tasks, least, enough):  # type: ignore[no-untyped-def]
    """Pass over the nodes until a pass gains no more than `enough`.

    Parameters
    ----------
    graph : Graph
        Links and flows of all nodes.
    modules : Modules
        The partition; changes in place.
    smallest, largest : int
        Nodes in a batch.
    tasks : int
        Tasks that a batch is divided into.
    least, enough : float
        What a move, and a pass, must gain, in bits times the unit of flow.

    Returns
    -------
    moved : int
        Moves in all passes.
    is_done : bool
        Whether the last pass moved nothing and left no node to take.
    """
    nodes = len(graph.flow)
    num_empty, total = _start(modules)
    widest = widest_row(range(nodes), graph.start)
    active = np.ones(nodes, np.uint8)
    sums, touched = np.zeros((tasks, nodes)), np.empty((tasks, widest + 1), np.int32)
    scratch = Scratch(sums[0], touched[0])
    batch = _Batch(
        np.empty(largest, np.int32), np.empty(largest, np.int32), np.empty(largest), np.empty(largest),
        np.empty(largest, np.bool_),
    )  # fmt: skip
    all_moved, room = 0, smallest
    while True:
        position, before, gained = 0, all_moved, 0.0
        while position < nodes:
            count, position = _take(position, room, active, modules, batch)
            _propose(count, graph, modules, total, least, batch, sums, touched)
            num_empty, total, moved, saved = _carry_out(
                count, graph, modules, num_empty, total, least, active, batch, scratch
            )
            _wake(count, graph, modules, batch, active, tasks)
            all_moved += moved
            gained += saved
            room = min(2 * room, largest) if FEW_MOVES * moved < count else smallest
        if gained <= enough:
            return all_moved, all_moved == before and not active.any()


def useful_threads(links: int, threads: int) -> int:
    """How many of `threads` are worth their start and their memory."""
    return min(threads, MOST_THREADS, 1 + links // LINKS_A_THREAD)


def _lines(count: int) -> Float64:
    """Return zeros (count, 8), a cache line each, in memory that the system gets back."""
    memory = mmap.mmap(-1, 64 * count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory).reshape(count, 8)


def move(network: Network, membership: Int32, modules: Flows, threads: int, enough: float) -> tuple[int, bool, Flows]:
    """Move nodes until a pass over them gains no more than `enough` bits.

    Parameters
    ----------
    network : Network
        The nodes and their links.
    membership : int32 (N,)
        Each node's module in 0, 1, ...; changes in place and is numbered anew, by the lowest node of a module.
    modules : Flows
        Flows of the modules before.
    threads : int
        Threads at most. The result does not depend on it.
    enough : float
        Bits that a pass must gain for another to follow. Raising it ends earlier, at a longer code.

    Returns
    -------
    moved : int
        Moves that were made.
    is_done : bool
        Whether no move is left to make.
    modules : Flows
        Flows of the modules after.
    """
    rows, nodes, total = network.rows, network.nodes, network.flow.sum()
    size = np.bincount(membership, minlength=nodes).astype(np.int32)
    state = _lines(nodes)
    for column, values in ((FLOW, modules.flow), (EXIT, modules.exit), (ENTER, modules.enter)):
        state[: len(values), column] = values
    smallest = min(LARGEST_BATCH, max(1, nodes // SMALLEST_PART))
    largest = min(LARGEST_BATCH, max(1, nodes // LARGEST_PART))
    tasks = useful_threads(len(rows.neighbor) // 2, threads)
    graph = graph_of(network)
    partition = Modules(membership, size, state, np.empty(nodes, np.int32))
    with at_most(tasks):
        moved, is_done = _move(graph, partition, smallest, largest, tasks, LEAST_GAIN * total, enough * total)
    kept = numbered(membership)
    return moved, is_done, Flows(*(np.ascontiguousarray(state[kept, column]) for column in (FLOW, EXIT, ENTER)))
