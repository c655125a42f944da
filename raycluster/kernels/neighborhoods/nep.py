"""Neighbor-based edge probability (NEP): the weighted Jaccard similarity of two neighbor lists (S1 eq. 3 and 8).

    p_hat_ij = p_ij / sum over h in N_i of p_ih
    NEP_ij = sum over h in N_i and N_j of (p_hat_ih + p_hat_jh) / (sum over h in N_i of p_hat_ih + ... N_j of p_hat_jh)

The sums over what two lists have in common are those of `raycluster.kernels.neighborhoods.overlap`.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from raycluster.arrays import Float32, Int32, Int64
from raycluster.kernels.neighborhoods.overlap import overlaps

EPSILON = -5.0
"""Offset in the exponent of the sigmoid transform, no unit, as published (S1 eq. 6). The probability is one half at squared
distance -EPSILON / delta, 0.67 by default. Raising it lets only nearer neighbors count."""


def exponential_probability(similarity: Float32, tau: float = 0.5) -> Float32:
    """FC-ES transform (S1 eq. 4, whose printed `-a / tau` is a misprint): exp(-d / tau), d = 2 - 2 clip(a, 0, 1).

    Raising `tau` flattens the differences between near and far neighbors.
    """
    distance = 2.0 - 2.0 * np.clip(similarity, 0.0, 1.0)
    return np.exp(-distance / np.float32(tau)).astype(np.float32)


def sigmoid_probability(similarity: Float32, delta: float = 7.5, epsilon: float = EPSILON) -> Float32:
    """S1 transform (eq. 6): 1 / (1 + exp(delta d + epsilon)), d = 2 - 2 clip(a, 0, 1).

    Raising `delta` makes the drop from near to far steeper; raising `epsilon` moves it to nearer pairs.
    """
    distance = 2.0 - 2.0 * np.clip(similarity, 0.0, 1.0)
    return (1.0 / (1.0 + np.exp(np.float32(delta) * distance + np.float32(epsilon)))).astype(np.float32)


def edge_probability(
    similarity: Float32, transform: Literal["exponential", "sigmoid"], tau: float, delta: float
) -> Float32:
    """The chosen transform of similarities (R, K); empty ranks (similarity -1) get 0."""
    if transform == "exponential":
        probability = exponential_probability(similarity, tau)
    else:
        probability = sigmoid_probability(similarity, delta)
    return np.where(similarity > -1, probability, np.float32(0))


def normalized(probability: Float32) -> Float32:
    """p_hat: each row (K columns, self included) divided by its sum. Rows of zeros stay zero."""
    total = probability.sum(axis=1, dtype=np.float64, keepdims=True)
    return (probability / np.where(total > 0, total, 1.0)).astype(np.float32)


def _truncated_mass(p_hat: Float32, length: Int64) -> npt.NDArray[np.float64]:
    """Sum of the first length[i] entries of each row; 1 for a whole row, as without truncation."""
    sums = np.cumsum(p_hat, axis=1, dtype=np.float64)
    return np.where(length == p_hat.shape[1], 1.0, sums[np.arange(len(sums)), length - 1])


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
    return overlaps(neighbor, p_hat, start, stop, length, mass, product=False, threads=threads)
