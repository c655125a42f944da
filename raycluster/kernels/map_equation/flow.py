"""Flow of a random walker on links: how often it visits each node, and how much enters and leaves there.

Undirected: a node's flow is the weight of its links, a self-link counted once.

Directed, as Infomap's default (smart teleportation, Lambiotte and Rosvall 2012, "unrecorded, to links"): with probability
`teleportation` the walker goes to a node chosen by the weight of its outgoing links; from a node without any it always
does. Only steps along links are recorded: the flow of a link is the source's visit rate times the link's share of what
leaves there, normalized to a sum of 1, and a node's flow is what its incoming links bring.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from raycluster.arrays import Float32, Float64, Int32
from raycluster.kernels.map_equation.links import Rows, directed_rows, grid, packed, rounded, undirected_rows

TELEPORTATION = 0.15
TOLERANCE = 1e-12
MOST_ITERATIONS = 1000


class Flows(NamedTuple):
    """Of nodes or modules (N,): how often they are visited, left for others and come to from others."""

    flow: Float64
    exit: Float64
    enter: Float64


@dataclass(frozen=True)
class Network:
    """Nodes with their flow, and links between different nodes.

    A link's weight in `rows` is half of what flows along it both ways. That is all that a move needs to know: a module
    that takes in a node has the enter (exit) flow of both, less twice the weight between them. Undirected flows are in
    units of the given weights, so that their sums are exact.
    """

    rows: Rows
    flow: Float64
    exit: Float64
    enter: Float64
    """Flow from (to) the node to (from) others; the same where links have no direction."""

    @property
    def flows(self) -> Flows:
        """Of its nodes."""
        return Flows(self.flow, self.exit, self.enter)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.flow)


def undirected(source: Int32, target: Int32, weight: Float32, number: Int32, threads: int) -> Network:
    """The network of undirected links (E,), in which node a has the number number[a]."""
    step, nodes = grid(weight), len(number)
    rows = undirected_rows(source, target, weight, number, step, threads)
    leaving = np.empty(nodes)
    _sums(rows.start, rows.weight, leaving)
    loops = np.flatnonzero(source == target)
    loops = loops[weight[loops] > 0]
    own = np.bincount(number[source[loops]], rounded(weight[loops].astype(np.float64), step), nodes)
    return Network(rows, leaving + own, leaving, leaving)


@numba.njit(nogil=True, parallel=True, cache=True)
def _sums(start, weight, sums):  # type: ignore[no-untyped-def]
    for row in numba.prange(sums.shape[0]):
        total = 0.0
        for at in range(start[row], start[row + 1]):
            total += weight[at]
        sums[row] = total


def directed(
    source: Int32, target: Int32, weight: Float32, number: Int32, threads: int, teleportation: float = TELEPORTATION
) -> Network:
    """The network of directed links (E,), its flow by power iteration until a step moves less than 1e-12 in all."""
    nodes = len(number)
    rows = directed_rows(source, target, weight, number, grid(weight), threads)
    out = np.empty(nodes)
    _out_weights(rows.start, rows.neighbor, rows.weight, out)
    if len(rows.weight) == 0:
        return Network(rows, out, out, out)
    rate = _visit_rates(rows, out, teleportation)
    per_weight = np.divide(rate, out, out=np.zeros(nodes), where=out > 0)
    per_weight /= rate[out > 0].sum()
    flow, leaving, entering = np.empty(nodes), np.empty(nodes), np.empty(nodes)
    length = np.empty(nodes, np.int64)
    _link_flows(rows.start, rows.neighbor, rows.weight, per_weight, threads, flow, leaving, entering, length)
    return Network(packed(rows, length), flow, leaving, entering)


@numba.njit(nogil=True, parallel=True, cache=True)
def _out_weights(start, neighbor, weight, out):  # type: ignore[no-untyped-def]
    for row in numba.prange(out.shape[0]):
        total = 0.0
        for at in range(start[row], start[row + 1]):
            if neighbor[at] >= 0:
                total += weight[at]
        out[row] = total


def _visit_rates(rows: Rows, out: Float64, teleportation: float) -> Float64:
    to = out / out.sum()
    dangling = np.flatnonzero(out == 0)
    rate, per_weight, fresh = to.copy(), np.empty(len(out)), np.empty(len(out))
    for _ in range(MOST_ITERATIONS):
        np.divide(rate, out, out=per_weight, where=out > 0)
        jump = teleportation + (1 - teleportation) * rate[dangling].sum()
        _step(rows.start, rows.neighbor, rows.weight, per_weight, to, jump, 1 - teleportation, fresh)
        fresh /= fresh.sum()
        change = np.abs(fresh - rate).sum()
        rate, fresh = fresh, rate
        if change < TOLERANCE:
            break
    return rate


@numba.njit(nogil=True, parallel=True, cache=True)
def _step(start, neighbor, weight, per_weight, to, jump, keep, fresh):  # type: ignore[no-untyped-def]
    for row in numba.prange(fresh.shape[0]):
        total = 0.0
        for at in range(start[row], start[row + 1]):
            other = neighbor[at]
            if other >= 0:
                break
            total += weight[at] * per_weight[~other]
        fresh[row] = jump * to[row] + keep * total


@numba.njit(nogil=True, parallel=True, cache=True)
def _link_flows(  # type: ignore[no-untyped-def]
    start, neighbor, weight, per_weight, parts, flow, leaving, entering, length
):
    """Turn weights into flows, and the two directions between a pair of nodes into one entry of half their sum."""
    nodes = flow.shape[0]
    widest = 0
    for row in range(nodes):
        widest = max(widest, start[row + 1] - start[row])
    for part in numba.prange(parts):
        name, half = np.empty(widest, np.int32), np.empty(widest)
        for row in range(nodes * part // parts, nodes * (part + 1) // parts):
            first, count = start[row], start[row + 1] - start[row]
            incoming = 0
            while incoming < count and neighbor[first + incoming] < 0:
                incoming += 1
            own, coming, going = 0.0, 0.0, 0.0
            for rank in range(count):
                other = neighbor[first + rank]
                if rank < incoming:  # their numbers fall where ~number rises
                    other, place = ~other, incoming - 1 - rank
                    each = weight[first + rank] * per_weight[other]
                    coming += each
                else:
                    place = rank
                    each = weight[first + rank] * per_weight[row]
                    going += each
                if other == row:
                    own = each
                name[place], half[place] = other, each / 2
            flow[row], entering[row], leaving[row] = coming, coming - own, going - own
            one, two, put = 0, incoming, first
            while one < incoming or two < count:
                if two == count or (one < incoming and name[one] < name[two]):
                    other, each = name[one], half[one]
                    one += 1
                elif one == incoming or name[two] < name[one]:
                    other, each = name[two], half[two]
                    two += 1
                else:
                    other, each = name[one], half[one] + half[two]
                    one, two = one + 1, two + 1
                if other != row:
                    neighbor[put], weight[put] = other, np.float32(each)
                    put += 1
            length[row] = put - first


def flow_within(rows: Rows, of: Int32) -> Float64:
    """What flows from each node to the others of its module, with what comes from them, by half: exact in its sums."""
    within = np.empty(len(of))
    _within(rows.start, rows.neighbor, rows.weight, of, within)
    return within


@numba.njit(nogil=True, parallel=True, cache=True)
def _within(start, neighbor, weight, of, within):  # type: ignore[no-untyped-def]
    for row in numba.prange(of.shape[0]):
        total = 0.0
        for at in range(start[row], start[row + 1]):
            if of[neighbor[at]] == of[row]:
                total += weight[at]
        within[row] = total
