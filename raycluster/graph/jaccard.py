"""Neighbor-based edge probability (NEP): the weighted Jaccard similarity of two neighbor lists (S1 eq. 3 and 8).

    p_hat_ij = p_ij / sum over h in N_i of p_ih
    NEP_ij = sum over h in N_i and N_j of (p_hat_ih + p_hat_jh) / (sum over h in N_i of p_hat_ih + ... N_j of p_hat_jh)

Row-parallel; each row needs the neighbor lists of its neighbors. A row's list is held in a small hash table, so memory
does not grow with the number of rows.
"""

import numba
import numpy as np
import numpy.typing as npt

from raycluster.graph.nearest import Float32, Int32, Int64


def exponential_probability(similarity: Float32, tau: float = 0.5) -> Float32:
    """FC-ES transform (S1 eq. 4, whose printed `-a / tau` is a misprint): exp(-d / tau), d = 2 - 2 clip(a, 0, 1).

    Raising `tau` flattens the differences between near and far neighbors.
    """
    distance = 2.0 - 2.0 * np.clip(similarity, 0.0, 1.0)
    return np.exp(-distance / np.float32(tau)).astype(np.float32)


def sigmoid_probability(similarity: Float32, delta: float = 7.5, epsilon: float = -5.0) -> Float32:
    """S1 transform (eq. 6): 1 / (1 + exp(delta d + epsilon)), d = 2 - 2 clip(a, 0, 1).

    Raising `delta` makes the drop from near to far steeper; raising `epsilon` moves it to nearer pairs.
    """
    distance = 2.0 - 2.0 * np.clip(similarity, 0.0, 1.0)
    return (1.0 / (1.0 + np.exp(np.float32(delta) * distance + np.float32(epsilon)))).astype(np.float32)


def normalized(probability: Float32) -> Float32:
    """p_hat: each row (K columns, self included) divided by its sum. Rows of zeros stay zero."""
    total = probability.sum(axis=1, dtype=np.float64, keepdims=True)
    return (probability / np.where(total > 0, total, 1.0)).astype(np.float32)


@numba.njit(nogil=True, cache=True)
def _slot(node, mask):  # type: ignore[no-untyped-def]
    return ((node * np.int32(-1640531535)) >> np.int32(9)) & mask


@numba.njit(nogil=True, parallel=True, cache=True)
def _nep_rows(first, order, neighbor, p_hat, length, mass, out):  # type: ignore[no-untyped-def]
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
                value[slot] = p_hat[i, h]
                used[h] = slot
            for rank in range(k):
                j = neighbor[i, rank]
                if j < 0 or rank >= length[i]:
                    out[local, rank] = 0.0
                    continue
                common = 0.0
                for h in range(length[j]):
                    other = neighbor[j, h]
                    slot = _slot(other, mask)
                    held = key[slot]
                    while held >= 0:
                        if held == other:
                            common += value[slot] + p_hat[j, h]
                            break
                        slot = (slot + 1) & mask
                        held = key[slot]
                out[local, rank] = common / (mass[i] + mass[j])
            for h in range(length[i]):
                key[used[h]] = -1


def _truncated_mass(p_hat: Float32, length: Int64) -> npt.NDArray[np.float64]:
    """Sum of the first length[i] entries of each row; 1 for a whole row, as without truncation."""
    sums = np.cumsum(p_hat, axis=1, dtype=np.float64)
    return np.where(length == p_hat.shape[1], 1.0, sums[np.arange(len(sums)), length - 1])


def _by_shared_neighbors(neighbor: Int32) -> Int64:
    """An order of rows in which those with near neighbors in common follow each other, so their lists stay in cache."""
    return np.argsort(neighbor[:, :16].min(axis=1), kind="stable")


def neighbor_edge_probability(
    neighbor: Int32,
    p_hat: Float32,
    start: int = 0,
    stop: int | None = None,
    length: Int64 | None = None,
    threads: int | None = None,
) -> Float32:
    """NEP of rows start..stop with each of their K neighbors.

    neighbor int32 (N, K), self at rank 0, -1 past the end of a short list; p_hat float32 (N, K), `normalized`, 0 at those
    ranks. length int64 (N,) truncates row i's list to its first length[i] entries, in 1..K (S1 eq. 8, lengths from
    eq. 7); the normalisation of p_hat keeps all K columns. Returns float32 (stop - start, K) in 0..1; ranks at or past
    the truncation are 0. `threads` caps the numba threads; the result does not depend on it.
    """
    stop = len(neighbor) if stop is None else stop
    mass = np.ones(len(neighbor)) if length is None else _truncated_mass(p_hat, length)
    if length is None:
        length = np.full(len(neighbor), neighbor.shape[1], np.int64)
    out = np.empty((stop - start, neighbor.shape[1]), np.float32)
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads or before, before))
    try:
        _nep_rows(start, _by_shared_neighbors(neighbor[start:stop]), neighbor, p_hat, length, mass, out)
    finally:
        numba.set_num_threads(before)
    return out
