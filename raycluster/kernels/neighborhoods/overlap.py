"""Sums over the neighbors that a row and each of its neighbors have in common.

Row-parallel; each row needs the neighbor lists of its neighbors. A row's list is held in a small hash table, so memory
does not grow with the number of rows.
"""

import numba
import numpy as np
import numpy.typing as npt

from raycluster.arrays import Float32, Int32, Int64
from raycluster.kernels.threads import at_most


@numba.njit(nogil=True, cache=True)
def _slot(node, mask):  # type: ignore[no-untyped-def]
    return ((node * np.int32(-1640531535)) >> np.int32(9)) & mask


@numba.njit(nogil=True, parallel=True, cache=True)
def _overlaps(first, order, neighbor, weight, length, mass, product, wanted, out):  # type: ignore[no-untyped-def]
    k = neighbor.shape[1]
    slots = 4
    while slots < 8 * k:
        slots *= 2
    mask = slots - 1
    chunk = 256
    rows = out.shape[0]
    for part in numba.prange((rows + chunk - 1) // chunk):
        key = np.full(slots, -1, np.int32)
        value = np.empty(slots, np.float32)
        used = np.empty(k, np.int64)
        for turn in range(part * chunk, min(rows, (part + 1) * chunk)):
            local = order[turn]
            i = first + local
            for h in range(length[i]):
                slot = _slot(neighbor[i, h], mask)
                while key[slot] >= 0:
                    slot = (slot + 1) & mask
                key[slot] = neighbor[i, h]
                value[slot] = weight[i, h]
                used[h] = slot
            for rank in range(k):
                j = neighbor[i, rank]
                if j < 0 or rank >= length[i] or not (wanted.size == 0 or wanted[local, rank]):
                    out[local, rank] = 0.0
                    continue
                common = 0.0
                for h in range(length[j]):
                    other = neighbor[j, h]
                    slot = _slot(other, mask)
                    held = key[slot]
                    while held >= 0:
                        if held == other:
                            common += value[slot] * weight[j, h] if product else value[slot] + weight[j, h]
                            break
                        slot = (slot + 1) & mask
                        held = key[slot]
                out[local, rank] = common / (mass[i] + mass[j])
            for h in range(length[i]):
                key[used[h]] = -1


def _by_shared_neighbors(neighbor: Int32) -> Int64:
    """An order of rows in which those with near neighbors in common follow each other, so their lists stay in cache."""
    return np.argsort(neighbor[:, :16].min(axis=1), kind="stable")


def overlaps(
    neighbor: Int32,
    weight: Float32,
    start: int,
    stop: int,
    length: Int64,
    mass: npt.NDArray[np.float64],
    *,
    product: bool,
    wanted: npt.NDArray[np.bool_] | None = None,
    threads: int | None = None,
) -> Float32:
    """For rows i in start..stop and each neighbor j: sum over h in N_i and N_j of w_ih + w_jh, or with `product` of
    w_ih w_jh, divided by mass_i + mass_j; float32 (stop - start, K).

    neighbor int32 (N, K), -1 past the end of a short list; weight float32 (N, K), 0 at those ranks; length int64 (N,)
    in 1..K truncates lists, and ranks at or past it are 0. mass float64 (N,). With `wanted` (stop - start, K) only those pairs
    are computed, others are 0. `threads` caps the numba threads; the result does not depend on it.
    """
    out = np.empty((stop - start, neighbor.shape[1]), np.float32)
    with at_most(threads):
        order = _by_shared_neighbors(neighbor[start:stop])
        chosen = np.empty((0, 0), np.bool_) if wanted is None else wanted
        _overlaps(start, order, neighbor, weight, length, mass, product, chosen, out)
    return out
