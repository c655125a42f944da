"""Sums over the neighbors that a row and each of its neighbors have in common.

Shapes: N rows in all; R = stop - start rows of a call; K neighbors per row, the row itself at rank 0.

A row's K neighbors go into a small hash table. The K neighbors of each neighbor are searched there, R K^2 of them per call.
Neither work nor memory grows with N.
"""

from dataclasses import dataclass

import numba
import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Ints
from raycluster.kernels.threads import at_most

SLOTS_PER_NEIGHBOR = 8
"""Slots of the hash table per neighbor, at least. Most searches miss, and a miss ends at the first empty slot. Fewer
slots make searches longer, more slots push the table out of the cache. Results do not depend on it."""
ROWS_PER_TASK = 256
"""Rows that a thread takes at once, at most, with one hash table for all of them. Results do not depend on it."""
ORDERING_RANKS = 16
"""Nearest ranks whose lowest row decides the order in which rows are taken. Only the hit rate of the cache depends on it."""


@dataclass(frozen=True)
class Neighborhoods:
    """The neighbors of all rows, their weights, and how many of each row's count."""

    neighbor: Int32
    """(N, K), -1 past the last neighbor of a row."""
    weight: Float32
    """(N, K), 0 at ranks without a neighbor."""
    length: Ints | None = None
    """(N,), 1 or more: neighbors of each row that count, the row itself included. None: all K."""
    length_step: int = 1
    """Lengths are rounded up to a multiple of this, then cut to K. Raising it keeps more neighbors."""


def overlaps(
    neighborhoods: Neighborhoods,
    start: int,
    stop: int,
    *,
    product: bool,
    without_pair: bool = False,
    is_needed: Bool | None = None,
    threads: int | None = None,
) -> Float32:
    """Return the weight that rows start..stop share with each of their neighbors.

    Parameters
    ----------
    neighborhoods : Neighborhoods
        The neighbors and weights of all rows.
    start, stop : int
        The rows i that are computed.
    product : bool
        False: sum over h in N_i and N_j of w_ih + w_jh, divided by the weight of N_i plus that of N_j. A whole row, one that
        is not truncated, counts as weight 1. True: sum of w_ih w_jh, as it is.
    without_pair : bool
        Whether the two rows themselves are left out of both sums, for product False.
    is_needed : bool (R, K), optional
        Pairs to compute; the others are 0. None computes all.
    threads : int, optional
        Cap on numba's threads. The result does not depend on it.

    Returns
    -------
    float32 (R, K)
        0 at ranks without a neighbor. Truncation shortens the two sets of a pair, and leaves no pair out: a neighbor past the
        row's own truncation is compared all the same.
    """
    neighbor, weight, step = neighborhoods.neighbor, neighborhoods.weight, neighborhoods.length_step
    length = np.empty(0, np.int64) if neighborhoods.length is None else neighborhoods.length
    own = neighbor[start:stop]
    other = own if is_needed is None else np.where(is_needed, own, np.int32(-1))
    out = np.empty(own.shape, np.float32)
    # Rows with near neighbors in common follow each other, so that their neighbors' rows are still in the cache.
    order = np.argsort(own[:, :ORDERING_RANKS].min(axis=1), kind="stable")
    with at_most(threads) as count:
        task = max(1, min(ROWS_PER_TASK, -(-len(out) // count)))
        _overlaps(start, other, order, task, neighbor, weight, length, step, product, without_pair, out)
    return out


@numba.njit(nogil=True, cache=True)
def _slot(node, mask):  # type: ignore[no-untyped-def]
    """First slot of a node: multiplicative hashing with 2^32 / golden ratio."""
    return ((node * np.int32(-1640531535)) >> np.int32(9)) & mask


@numba.njit(nogil=True, cache=True)
def _counted(length, row, k, step):  # type: ignore[no-untyped-def]
    """How many of a row's neighbors count: min(K, step ceil(length / step))."""
    if length.size == 0:
        return k
    return min(k, (length[row] + step - 1) // step * step)


@numba.njit(nogil=True, cache=True)
def _rest(neighbor, weight, row, count, other):  # type: ignore[no-untyped-def]
    """Return the weight of a row's first neighbors without a pair's rows.

    Parameters
    ----------
    neighbor, weight : int32 and float32 (N, K)
        Neighbors of all rows, and their weights.
    row, other : int
        The pair, neither of which counts.
    count : int
        How many of the neighbors of `row` to read.
    """
    mass = 0.0
    for h in range(count):
        if neighbor[row, h] != row and neighbor[row, h] != other:
            mass += np.float64(weight[row, h])
    return mass


@numba.njit(nogil=True, parallel=True, cache=True)
def _overlaps(first, other, order, task, neighbor, weight, length, step, product, without_pair, out):  # type: ignore[no-untyped-def]
    """Fill out (R, K), with rows taken in `order` (R,), in tasks of so many rows.

    Parameters
    ----------
    first : int
        Number of the first row.
    other : int32 (R, K)
        The neighbor of each pair; -1 where there is none or it is not needed.
    order, task : int64 (R,) and int
        The order of rows, and rows per task.
    neighbor, weight : int32 and float32 (N, K)
        Neighbors of all rows, and their weights.
    length, step : integers (N,) and int
        Neighbors that count, and what they are rounded up to a multiple of; an empty array: all K.
    product : bool
        Products of weights, or sums over both masses.
    without_pair : bool
        Leave rows i and j themselves out of both.
    out : float32 (R, K)
        Written.
    """
    num_rows, k = out.shape
    slots = 4
    while slots < SLOTS_PER_NEIGHBOR * k:
        slots *= 2
    mask = slots - 1
    for block in numba.prange((num_rows + task - 1) // task):
        key = np.full(slots, -1, np.int32)  # -1: an empty slot
        value = np.empty(slots, np.float32)
        used = np.empty(k, np.int64)
        for turn in range(block * task, min(num_rows, (block + 1) * task)):
            row = order[turn]
            i = first + row
            count = _counted(length, i, k, step)
            # Phase 1: the row's neighbors into the hash table. A rank without one writes -1, which leaves its slot empty.
            mass = 0.0
            for h in range(count):
                slot = _slot(neighbor[i, h], mask)
                while key[slot] >= 0:
                    slot = (slot + 1) & mask
                key[slot] = neighbor[i, h]
                value[slot] = weight[i, h]
                used[h] = slot
                mass += np.float64(weight[i, h])
            if count == k:
                mass = 1.0
            # Phase 2: each neighbor's neighbors are searched in rank order, which fixes the rounding of the sum.
            for rank in range(k):
                j = other[row, rank]
                if j < 0:
                    out[row, rank] = 0.0
                    continue
                other_count = _counted(length, j, k, step)
                common, other_mass = 0.0, 0.0
                for h in range(other_count):
                    node = neighbor[j, h]
                    slot = _slot(node, mask)
                    held = key[slot]
                    while held >= 0:
                        if held == node:
                            if without_pair and ((node == i) | (node == j)):
                                break
                            # One float32 operation per common neighbor, added up in float64.
                            common += value[slot] * weight[j, h] if product else value[slot] + weight[j, h]
                            break
                        slot = (slot + 1) & mask
                        held = key[slot]
                if product:
                    out[row, rank] = common
                    continue
                # Phase 3: the share of both masses. A whole row has mass 1 by definition, whatever its float32 sum.
                if without_pair:
                    rest = _rest(neighbor, weight, i, count, j) + _rest(neighbor, weight, j, other_count, i)
                    out[row, rank] = common / rest if rest > 0 else 0.0
                    continue
                if other_count == k:
                    other_mass = 1.0
                else:
                    for h in range(other_count):
                        other_mass += np.float64(weight[j, h])
                out[row, rank] = common / (mass + other_mass)
            # Phase 4: only the slots in use are emptied; the table is larger than the row.
            for h in range(count):
                key[used[h]] = -1
