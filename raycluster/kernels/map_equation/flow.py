"""Flow of a random walker on links: its visits to each node, and flow in and out.

Undirected: a node's flow is the weight of its links, a self-link counted once.

Directed, as Infomap's default (smart teleportation, Lambiotte and Rosvall 2012, "unrecorded, to links"): with probability
`teleportation` the walker goes to a node chosen by the weight of its outgoing links; from a node without any it always does.
Only steps along links are recorded. The flow of a link is the visit rate of its source times its share of the weight that
leaves there. All flows are normalized to a sum of 1. The flow of a node is what its incoming links bring.

Shapes: N nodes, E links as they come, L entries in all rows, P tasks of a parallel loop.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from raycluster.arrays import Float32, Float64, Int32
from raycluster.kernels.map_equation.links import (
    Rows,
    directed_rows,
    grid,
    packed,
    rounded,
    undirected_rows,
    widest_row,
)

TELEPORTATION = 0.15
"""Probability per step of leaving the links, as in Infomap and PageRank. Raising it makes visit rates more alike and communities
less dependent on directions; as only steps along links are recorded, results change little."""
TOLERANCE = 1e-12
"""Sum over the nodes of the change of visit rates, which sum to 1, that ends the power iteration. Float64 noise is some 1e-15."""
MOST_ITERATIONS = 1000
"""Steps of the power iteration at most. A step shrinks the change to 1 - TELEPORTATION of it or less, so some 170 are enough."""


class Flows(NamedTuple):
    """Flows (N,) of nodes or modules."""

    flow: Float64
    """How often each is visited."""
    exit: Float64
    """Flow from each to others."""
    enter: Float64
    """Flow to each from others; the same as exit where links have no direction."""


@dataclass(frozen=True)
class Network:
    """Nodes with their flow, and links between different nodes.

    A link's weight in `rows` is half of what flows along it both ways. No move needs more: a module that takes in a node has
    the enter (exit) flow of both, less twice the weight between them. Undirected flows are in units of the links' weights,
    so that their sums are exact.
    """

    rows: Rows
    flow: Float64
    """(N,)."""
    exit: Float64
    """(N,): flow from the node to others."""
    enter: Float64
    """(N,): flow to the node from others; the same as exit where links have no direction."""

    @property
    def flows(self) -> Flows:
        """Flows of its nodes."""
        return Flows(self.flow, self.exit, self.enter)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.flow)


def undirected(source: Int32, target: Int32, weight: Float32, number: Int32, threads: int) -> Network:
    """Return the network of undirected links.

    Parameters
    ----------
    source, target, weight : int32, int32 and float32 (E,)
        The links; weights that are not above 0 are left out.
    number : int32 (N,)
        The number in the network of each node, a permutation.
    threads : int
        Tasks of the parallel loops. Nothing depends on it.
    """
    step, nodes = grid(weight), len(number)
    rows = undirected_rows(source, target, weight, number, step, threads)
    leaving = np.empty(nodes)
    _sums(rows.start, rows.weight, leaving)
    # Self-links have no row. Their weights are put on the same grid.
    loops = np.flatnonzero(source == target)
    loops = loops[weight[loops] > 0]
    own = np.bincount(number[source[loops]], rounded(weight[loops].astype(np.float64), step), nodes)
    return Network(rows, leaving + own, leaving, leaving)


@numba.njit(nogil=True, parallel=True, cache=True)
def _sums(start, weight, sums):  # type: ignore[no-untyped-def]
    """Fill sums (N,) with the weight in each row; exact on the grid, in any order."""
    for row in numba.prange(sums.shape[0]):
        total = 0.0
        for at in range(start[row], start[row + 1]):
            total += weight[at]
        sums[row] = total


def directed(
    source: Int32, target: Int32, weight: Float32, number: Int32, threads: int, teleportation: float = TELEPORTATION
) -> Network:
    """Return the network of directed links, whose flow is found by power iteration.

    Parameters
    ----------
    source, target, weight : int32, int32 and float32 (E,)
        The links; weights that are not above 0 are left out.
    number : int32 (N,)
        The number in the network of each node, a permutation.
    threads : int
        Tasks of the parallel loops. Nothing depends on it.
    teleportation : float
        Probability per step of leaving the links. Raising it makes visit rates more alike.
    """
    nodes = len(number)
    rows = directed_rows(source, target, weight, number, grid(weight), threads)
    out = np.empty(nodes)
    _out_weights(rows.start, rows.neighbor, rows.weight, out)
    if len(rows.weight) == 0:
        return Network(rows, out, out, out)
    rate = _visit_rates(rows, out, teleportation)
    # Flow per weight of a node's outgoing links. Visits of dangling nodes are followed by no recorded step.
    per_weight = np.divide(rate, out, out=np.zeros(nodes), where=out > 0)
    per_weight /= rate[out > 0].sum()
    flow, leaving, entering = np.empty(nodes), np.empty(nodes), np.empty(nodes)
    length = np.empty(nodes, np.int64)
    _link_flows(rows.start, rows.neighbor, rows.weight, per_weight, threads, flow, leaving, entering, length)
    return Network(packed(rows, length), flow, leaving, entering)


@numba.njit(nogil=True, parallel=True, cache=True)
def _out_weights(start, neighbor, weight, out):  # type: ignore[no-untyped-def]
    """Fill out (N,) with the weight of each node's outgoing links, entries from 0 up."""
    for row in numba.prange(out.shape[0]):
        total = 0.0
        for at in range(start[row], start[row + 1]):
            if neighbor[at] >= 0:
                total += weight[at]
        out[row] = total


def _visit_rates(rows: Rows, out: Float64, teleportation: float) -> Float64:
    """Return visits (N,) of each node, those by teleportation included.

    They sum to 1.
    """
    landing = out / out.sum()
    dangling = np.flatnonzero(out == 0)
    rate, per_weight, after = landing.copy(), np.empty(len(out)), np.empty(len(out))
    for _ in range(MOST_ITERATIONS):
        np.divide(rate, out, out=per_weight, where=out > 0)
        jump = teleportation + (1 - teleportation) * rate[dangling].sum()
        _step(rows.start, rows.neighbor, rows.weight, per_weight, landing, jump, 1 - teleportation, after)
        after /= after.sum()
        change = np.abs(after - rate).sum()
        rate, after = after, rate
        if change < TOLERANCE:
            break
    return rate


@numba.njit(nogil=True, parallel=True, cache=True)
def _step(start, neighbor, weight, per_weight, landing, jump, keep, after):  # type: ignore[no-untyped-def]
    """Fill after (N,) with the rates one step later, summed in the order of rows.

    Parameters
    ----------
    start, neighbor, weight
        Directed rows, incoming links first.
    per_weight : (N,)
        Visit rate per weight of outgoing links; anything where there are none.
    landing : (N,)
        Share of all jumps that end at each node.
    jump, keep : float
        Share of all visits that jump, and share of each visit that follows a link.
    after : (N,)
        Written.
    """
    for row in numba.prange(after.shape[0]):
        total = 0.0
        for at in range(start[row], start[row + 1]):
            other = neighbor[at]
            if other >= 0:
                break
            total += weight[at] * per_weight[~other]
        after[row] = jump * landing[row] + keep * total


@numba.njit(nogil=True, parallel=True, cache=True)
def _link_flows(  # type: ignore[no-untyped-def]
    start, neighbor, weight, per_weight, tasks, flow, leaving, entering, length
):
    """Turn weights into flows.

    A pair's two directions become one entry of their mean.

    Parameters
    ----------
    start, neighbor, weight
        Directed rows, which become undirected ones in place.
    per_weight : (N,)
        Flow per weight of a node's outgoing links.
    tasks : int
        Tasks of the parallel loop.
    flow, leaving, entering : (N,)
        Written: the flows of each node.
    length : (N,)
        Written: entries left in each row.
    """
    nodes = flow.shape[0]
    widest = widest_row(range(nodes), start)
    for task in numba.prange(tasks):
        name, half = np.empty(widest, np.int32), np.empty(widest)
        for row in range(nodes * task // tasks, nodes * (task + 1) // tasks):
            first, count = start[row], start[row + 1] - start[row]
            incoming = 0
            while incoming < count and neighbor[first + incoming] < 0:
                incoming += 1
            # Phase 1: flow along each link. Incoming links are turned round: their numbers fall where ~number rises.
            own, coming, going = 0.0, 0.0, 0.0
            for rank in range(count):
                other = neighbor[first + rank]
                if rank < incoming:
                    other, place = ~other, incoming - 1 - rank
                    value = weight[first + rank] * per_weight[other]
                    coming += value
                else:
                    place = rank
                    value = weight[first + rank] * per_weight[row]
                    going += value
                if other == row:
                    own = value
                name[place], half[place] = other, value / 2
            flow[row], entering[row], leaving[row] = coming, coming - own, going - own
            # Phase 2: incoming and outgoing links, each in ascending order, are merged; self-links are left out.
            one, two, put = 0, incoming, first
            while one < incoming or two < count:
                if two == count or (one < incoming and name[one] < name[two]):
                    other, value = name[one], half[one]
                    one += 1
                elif one == incoming or name[two] < name[one]:
                    other, value = name[two], half[two]
                    two += 1
                else:
                    other, value = name[one], half[one] + half[two]
                    one, two = one + 1, two + 1
                if other != row:
                    # Float32, as all weights of rows; both ends of a link round the same sum.
                    neighbor[put], weight[put] = other, np.float32(value)
                    put += 1
            length[row] = put - first


def flow_within(rows: Rows, membership: Int32) -> Float64:
    """Return the mean of what flows from each node to its module's others and back.

    Result (N,). Its sums are exact where weights lie on a grid.
    """
    within = np.empty(len(membership))
    _within(rows.start, rows.neighbor, rows.weight, membership, within)
    return within


@numba.njit(nogil=True, parallel=True, cache=True)
def _within(start, neighbor, weight, membership, within):  # type: ignore[no-untyped-def]
    """Fill within (N,) with the weight of each node's links to its own module (N,)."""
    for row in numba.prange(membership.shape[0]):
        total = 0.0
        for at in range(start[row], start[row + 1]):
            if membership[neighbor[at]] == membership[row]:
                total += weight[at]
        within[row] = total
