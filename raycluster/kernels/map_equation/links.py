"""Links in compressed rows: every link in the rows of both its ends, 16 bytes a link.

Undirected rows are in no order and may name a neighbor twice. Nothing depends on either, because weights are rounded to
multiples of a power of two (`grid`) so coarse that float64 adds them without error, in any order. A float32 weight moves
by that only where it is 2^28 / links times lighter than the heaviest.

Directed rows hold incoming links first, as `~source`, then outgoing ones; each part is sorted and names a neighbor once.
"""

from dataclasses import dataclass

import numba
import numpy as np

from raycluster.arrays import Float32, Int32, Int64


@dataclass(frozen=True)
class Rows:
    """`neighbor` int32 and `weight` float32 of row i are at start[i]:start[i + 1]; `start` int64 (N + 1,)."""

    start: Int64
    neighbor: Int32
    weight: Float32


@numba.njit(nogil=True, cache=True)
def _heaviest(weight):  # type: ignore[no-untyped-def]
    heaviest, count = np.float32(0), 0
    for each in weight:
        if each > 0:
            heaviest = max(heaviest, each)
            count += 1
    return heaviest, count


def grid(weight: Float32) -> float:
    """The power of two whose multiples the weights are rounded to, so that float64 holds any sum of them exactly."""
    heaviest, count = _heaviest(weight)
    assert np.isfinite(heaviest), "link weights must be finite"
    return 2.0 ** (np.ceil(np.log2(2.0 * count * heaviest)) - 53) if count else 1.0


@numba.njit(nogil=True, cache=True)
def rounded(weight, step):  # type: ignore[no-untyped-def]
    """The nearest multiple of `step`, a power of two."""
    return np.rint(weight / step) * step


@numba.njit(nogil=True, parallel=True, cache=True)
def _count(source, target, weight, number, loops, place):  # type: ignore[no-untyped-def]
    parts, links = place.shape[0], source.shape[0]
    for part in numba.prange(parts):
        for link in range(links * part // parts, links * (part + 1) // parts):
            if weight[link] > 0 and (loops or source[link] != target[link]):
                place[part, number[source[link]]] += 1
                place[part, number[target[link]]] += 1


@numba.njit(nogil=True, cache=True)
def _places(place, start):  # type: ignore[no-untyped-def]
    """Turn counts into the first place of each part in each row."""
    total = 0
    for row in range(place.shape[1]):
        start[row] = total
        for part in range(place.shape[0]):
            count = place[part, row]
            place[part, row] = total
            total += count
    start[place.shape[1]] = total


@numba.njit(nogil=True, parallel=True, cache=True)
def _fill(source, target, weight, number, step, directed, place, neighbor, value):  # type: ignore[no-untyped-def]
    parts, links = place.shape[0], source.shape[0]
    for part in numba.prange(parts):
        for link in range(links * part // parts, links * (part + 1) // parts):
            one, other = number[source[link]], number[target[link]]
            if weight[link] > 0 and (directed or one != other):
                each = np.float32(rounded(weight[link], step))
                at = place[part, one]
                place[part, one] = at + 1
                neighbor[at] = other
                value[at] = each
                at = place[part, other]
                place[part, other] = at + 1
                neighbor[at] = ~one if directed else one
                value[at] = each


def undirected_rows(source: Int32, target: Int32, weight: Float32, number: Int32, step: float, parts: int) -> Rows:
    """Rows of links (E,) but self-links; node a's is row number[a]. Weights that are not above 0 are left out.

    Built by `parts` threads.
    """
    return _rows(source, target, weight, number, step, False, parts)


def directed_rows(source: Int32, target: Int32, weight: Float32, number: Int32, step: float, parts: int) -> Rows:
    """The same of directed links, self-links included, each row sorted and without duplicates."""
    rows = _rows(source, target, weight, number, step, True, parts)
    length = np.empty(len(number), np.int64)
    _sort_rows(rows.start, rows.neighbor, rows.weight, parts, length)
    return packed(rows, length)


def _rows(
    source: Int32, target: Int32, weight: Float32, number: Int32, step: float, directed: bool, parts: int
) -> Rows:  # fmt: skip
    place = np.zeros((parts, len(number)), np.int64)
    start = np.empty(len(number) + 1, np.int64)
    _count(source, target, weight, number, directed, place)
    _places(place, start)
    rows = Rows(start, np.empty(start[-1], np.int32), np.empty(start[-1], np.float32))
    _fill(source, target, weight, number, step, directed, place, rows.neighbor, rows.weight)
    return rows


@numba.njit(nogil=True, parallel=True, cache=True)
def _sort_rows(start, neighbor, weight, parts, length):  # type: ignore[no-untyped-def]
    """Sort each row by (neighbor, weight) and add up what it holds of one neighbor."""
    nodes = start.shape[0] - 1
    widest = 0
    for row in range(nodes):
        widest = max(widest, start[row + 1] - start[row])
    for part in numba.prange(parts):
        key = np.empty(widest, np.int64)
        for row in range(nodes * part // parts, nodes * (part + 1) // parts):
            first, count = start[row], start[row + 1] - start[row]
            bits = weight[first : first + count].view(np.int32)
            for rank in range(count):
                key[rank] = (np.int64(neighbor[first + rank]) << 32) | np.int64(bits[rank])
            key[:count].sort()
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
    """The same rows, in place, cut to their first length[i] entries."""
    start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    if start[-1] == rows.start[-1]:
        return rows
    _pack(rows.start, start, rows.neighbor, rows.weight)
    return Rows(start, rows.neighbor[: start[-1]], rows.weight[: start[-1]])


@numba.njit(nogil=True, cache=True)
def _pack(old, new, neighbor, weight):  # type: ignore[no-untyped-def]
    for row in range(new.shape[0] - 1):
        for rank in range(new[row + 1] - new[row]):
            neighbor[new[row] + rank] = neighbor[old[row] + rank]
            weight[new[row] + rank] = weight[old[row] + rank]
