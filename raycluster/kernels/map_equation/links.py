"""Links in compressed rows: each in the rows of both its ends, 16 bytes per link.

Undirected rows are in no order and may name a neighbor twice. Nothing depends on either: weights are rounded to
multiples of a power of two (`grid`), so coarse that float64 adds them without error in any order. A float32 weight moves
by that only where it is 2^28 / links times lighter than the heaviest.

Directed rows hold incoming links first, as `~source`, then outgoing ones. Both are sorted and name a neighbor once.

Shapes: N nodes, E links as they come, L entries in all rows, P tasks of a parallel loop. `number` (N,) renames nodes.
"""

from dataclasses import dataclass

import numba
import numpy as np

from raycluster.arrays import Float32, Int32, Int64

_MANTISSA = 53
"""Bits of a float64: integers below 2^53, and their multiples of a power of two, add up without error."""


@dataclass(frozen=True)
class Rows:
    """The links of each node: entries start[i]:start[i + 1] are those of node i."""

    start: Int64
    """(N + 1,)."""
    neighbor: Int32
    """(L,)."""
    weight: Float32
    """(L,)."""


@numba.njit(nogil=True, cache=True)
def widest_row(nodes, start):  # type: ignore[no-untyped-def]
    """Return the number of entries in the longest row of some nodes; 0 for none."""
    widest = 0
    for node in nodes:
        widest = max(widest, start[node + 1] - start[node])
    return widest


@numba.njit(nogil=True, cache=True)
def _heaviest(weight):  # type: ignore[no-untyped-def]
    """Return the heaviest weight, 0 if none is above 0, and how many are above 0."""
    heaviest, count = np.float32(0), 0
    for value in weight:
        if value > 0:
            heaviest = max(heaviest, value)
            count += 1
    return heaviest, count


def grid(weight: Float32) -> float:
    """Return the power of two to whose multiples weights (E,) are rounded.

    Float64 then holds any sum of them exactly, each taken twice at most.
    """
    heaviest, count = _heaviest(weight)
    assert np.isfinite(heaviest), "link weights must be finite"
    return 2.0 ** (np.ceil(np.log2(2.0 * count * heaviest)) - _MANTISSA) if count else 1.0


@numba.njit(nogil=True, cache=True)
def rounded(weight, step):  # type: ignore[no-untyped-def]
    """Return the nearest multiple of `step`, a power of two; of two, the even one."""
    return np.rint(weight / step) * step


@numba.njit(nogil=True, parallel=True, cache=True)
def _count(source, target, weight, number, loops, place):  # type: ignore[no-untyped-def]
    """Fill place (P, N) with the entries that the links of each task give to each row."""
    tasks, links = place.shape[0], source.shape[0]
    for task in numba.prange(tasks):
        for link in range(links * task // tasks, links * (task + 1) // tasks):
            if weight[link] > 0 and (loops or source[link] != target[link]):
                place[task, number[source[link]]] += 1
                place[task, number[target[link]]] += 1


@numba.njit(nogil=True, cache=True)
def _places(place, start):  # type: ignore[no-untyped-def]
    """Turn counts (P, N) into each task's first place in a row; fill start (N + 1,)."""
    total = 0
    for row in range(place.shape[1]):
        start[row] = total
        for task in range(place.shape[0]):
            count = place[task, row]
            place[task, row] = total
            total += count
    start[place.shape[1]] = total


@numba.njit(nogil=True, parallel=True, cache=True)
def _fill(source, target, weight, number, step, directed, place, neighbor, value):  # type: ignore[no-untyped-def]
    """Write each link into the rows of both its ends, at its task's places (P, N)."""
    tasks, links = place.shape[0], source.shape[0]
    for task in numba.prange(tasks):
        for link in range(links * task // tasks, links * (task + 1) // tasks):
            one, other = number[source[link]], number[target[link]]
            if weight[link] > 0 and (directed or one != other):
                # In float64; what is left has no more bits than the weight had, so float32 holds it.
                on_grid = np.float32(rounded(weight[link], step))
                at = place[task, one]
                place[task, one] = at + 1
                neighbor[at] = other
                value[at] = on_grid
                at = place[task, other]
                place[task, other] = at + 1
                neighbor[at] = ~one if directed else one
                value[at] = on_grid


def undirected_rows(source: Int32, target: Int32, weight: Float32, number: Int32, step: float, tasks: int) -> Rows:
    """Return the rows of undirected links.

    Parameters
    ----------
    source, target, weight : int32, int32 and float32 (E,)
        The links. Self-links and weights that are not above 0 are left out.
    number : int32 (N,)
        The row of each node, a permutation.
    step : float
        Weights become multiples of it.
    tasks : int
        Tasks of the parallel loops. They decide the order within a row, on which nothing depends.
    """
    return _rows(source, target, weight, number, step, False, tasks)


def directed_rows(source: Int32, target: Int32, weight: Float32, number: Int32, step: float, tasks: int) -> Rows:
    """Return the rows of directed links, each sorted and without duplicates.

    Parameters
    ----------
    source, target, weight : int32, int32 and float32 (E,)
        The links, self-links included. Weights that are not above 0 are left out.
    number : int32 (N,)
        The row of each node, a permutation.
    step : float
        Weights become multiples of it.
    tasks : int
        Tasks of the parallel loops. The result does not depend on it.
    """
    rows = _rows(source, target, weight, number, step, True, tasks)
    length = np.empty(len(number), np.int64)
    _sort_rows(rows.start, rows.neighbor, rows.weight, tasks, length)
    return packed(rows, length)


def _rows(
    source: Int32, target: Int32, weight: Float32, number: Int32, step: float, directed: bool, tasks: int
) -> Rows:  # fmt: skip
    """Count, then fill: two passes over the links, 8 bytes per task and node."""
    place = np.zeros((tasks, len(number)), np.int64)
    start = np.empty(len(number) + 1, np.int64)
    _count(source, target, weight, number, directed, place)
    _places(place, start)
    rows = Rows(start, np.empty(start[-1], np.int32), np.empty(start[-1], np.float32))
    _fill(source, target, weight, number, step, directed, place, rows.neighbor, rows.weight)
    return rows


@numba.njit(nogil=True, parallel=True, cache=True)
def _sort_rows(start, neighbor, weight, tasks, length):  # type: ignore[no-untyped-def]
    """Sort each row by (neighbor, weight), add up duplicates, and fill length (N,)."""
    nodes = start.shape[0] - 1
    widest = widest_row(range(nodes), start)
    for task in numba.prange(tasks):
        key = np.empty(widest, np.int64)
        for row in range(nodes * task // tasks, nodes * (task + 1) // tasks):
            first, count = start[row], start[row + 1] - start[row]
            # Phase 1: neighbor and the bits of the weight in one integer. Bits of positive floats order as the floats do.
            bits = weight[first : first + count].view(np.int32)
            for rank in range(count):
                key[rank] = (np.int64(neighbor[first + rank]) << 32) | np.int64(bits[rank])
            key[:count].sort()
            # Phase 2: duplicates, in ascending order of weight, are added in float64 and rounded to float32 once.
            put, total = first - 1, 0.0
            for rank in range(count):
                other = np.int32(key[rank] >> 32)
                bits[rank] = np.int32(key[rank] & 0xFFFFFFFF)
                if rank > 0 and other == neighbor[put]:
                    total += np.float64(weight[first + rank])
                else:
                    put += 1
                    neighbor[put] = other
                    total = np.float64(weight[first + rank])
                weight[put] = np.float32(total)
            length[row] = put + 1 - first


def packed(rows: Rows, length: Int64) -> Rows:
    """Return the same rows, in place, cut to their first length[i] entries."""
    start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    if start[-1] == rows.start[-1]:
        return rows
    _pack(rows.start, start, rows.neighbor, rows.weight)
    return Rows(start, rows.neighbor[: start[-1]], rows.weight[: start[-1]])


@numba.njit(nogil=True, cache=True)
def _pack(old, new, neighbor, weight):  # type: ignore[no-untyped-def]
    """Move the entries of each row from old[i] to new[i] <= old[i], first rows first."""
    for row in range(new.shape[0] - 1):
        for rank in range(new[row + 1] - new[row]):
            neighbor[new[row] + rank] = neighbor[old[row] + rank]
            weight[new[row] + rank] = weight[old[row] + rank]
