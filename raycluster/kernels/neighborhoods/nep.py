"""Neighbor-based edge probability (NEP): weighted Jaccard of two neighborhoods.

S1 eq. 3 to 8, for cosines a:

    d_ij = 2 - 2 clip(a_ij, 0, 1)

    p_ij = exp(-d_ij / tau) or 1 / (1 + exp(delta d_ij + epsilon))

    q_ij = p_ij / sum over h in N_i of p_ih

    NEP_ij = sum over h in N_i and N_j of (q_ih + q_jh) / (sum over N_i of q_ih + sum over N_j of q_jh)

The papers write p with a hat for q; here it is `p_hat`. N_i are all K neighbors of row i, itself included.

Shapes: N rows in all; R rows of a call; K neighbors per row, the row itself at rank 0.
"""

from typing import Literal

import numpy as np

from raycluster.arrays import Float32, Int32, Ints
from raycluster.kernels.neighborhoods.overlap import Neighborhoods, overlaps

TOPK_STEP = 10
"""Neighbors: a predicted Top-K is rounded up to a multiple of this before it truncates (S1 eq. 7). Predictions are off by
about 8 of 80, so that rounding up keeps neighborhoods that are a few neighbors short. Raising it truncates less."""

EPSILON = -5.0
"""Offset in the exponent of the sigmoid transform, no unit, as published (S1 eq. 6). The probability is one half at squared
distance -EPSILON / delta, 0.67 by default. Raising it lets only nearer neighbors count."""


def exponential_probability(similarity: Float32, tau: float = 0.5) -> Float32:
    """Return FC-ES's edge probability exp(-d / tau) of similarities (S1 eq. 4).

    The paper prints exp(-a / tau), which would fall as similarity grows. Raising `tau` (0.5 as published) flattens the
    differences between near and far neighbors.
    """
    distance = 2.0 - 2.0 * np.clip(similarity, 0.0, 1.0)
    return np.exp(-distance / np.float32(tau)).astype(np.float32)


def sigmoid_probability(similarity: Float32, delta: float = 7.5, epsilon: float = EPSILON) -> Float32:
    """Return S1's edge probability 1 / (1 + exp(delta d + epsilon)) (S1 eq. 6).

    Parameters
    ----------
    similarity : float32, any shape
        Cosines.
    delta : float
        Slope, 7.5 as published. Raising it makes the drop from near to far steeper.
    epsilon : float
        Offset. Raising it moves the drop to nearer pairs.
    """
    distance = 2.0 - 2.0 * np.clip(similarity, 0.0, 1.0)
    return (1.0 / (1.0 + np.exp(np.float32(delta) * distance + np.float32(epsilon)))).astype(np.float32)


def edge_probability(
    similarity: Float32, transform: Literal["exponential", "sigmoid"], tau: float, delta: float
) -> Float32:
    """Return the edge probabilities of similarities under one of the two transforms.

    Parameters
    ----------
    similarity : float32 (R, K)
        Cosines, -1 at ranks without a neighbor.
    transform : {"exponential", "sigmoid"}
        Which transform.
    tau : float
        Temperature of the exponential. Raising it makes near and far neighbors count more alike.
    delta : float
        Slope of the sigmoid, whose offset is `EPSILON`. Raising it makes the drop from near to far steeper.

    Returns
    -------
    float32 (R, K)
        In 0..1; 0 at ranks without a neighbor.
    """
    if transform == "exponential":
        probability = exponential_probability(similarity, tau)
    else:
        probability = sigmoid_probability(similarity, delta)
    return np.where(similarity > -1, probability, np.float32(0))


def normalized(probability: Float32) -> Float32:
    """Return p_hat: edge probabilities (R, K) over their sum.

    Rows of zeros stay zero.
    """
    # The sum is float64, so that the order of 80 addends does not show in float32.
    total = probability.sum(axis=1, dtype=np.float64, keepdims=True)
    return (probability / np.where(total > 0, total, 1.0)).astype(np.float32)


def neighbor_edge_probability(
    neighbor: Int32,
    p_hat: Float32,
    start: int = 0,
    stop: int | None = None,
    length: Ints | None = None,
    threads: int | None = None,
    *,
    length_step: int = 1,
    without_pair: bool = False,
) -> Float32:
    """Return the NEP of rows start..stop with each of their neighbors.

    Work and memory depend on the rows and on K, not on N.

    Parameters
    ----------
    neighbor : int32 (N, K)
        The row itself at rank 0, -1 past the last neighbor.
    p_hat : float32 (N, K)
        Edge probabilities, `normalized`; 0 at ranks without a neighbor.
    start, stop : int
        The rows that are computed; all of them by default.
    length : integers (N,), optional
        Neighbors of each row that count, 1 or more: N_i is truncated to its first ones (S1 eq. 8). p_hat stays normalized over
        all K. Raising a length lets more neighbors count.
    threads : int, optional
        Cap on numba's threads. The result does not depend on it.
    length_step : int
        Lengths are rounded up to a multiple of this and cut to K; `TOPK_STEP` for a predicted Top-K.
    without_pair : bool
        Whether the two rows themselves count for neither set. Two strangers who list each other alone then have a NEP of 0.
        Not in the papers.

    Returns
    -------
    float32 (R, K)
        In 0..1; 0 at ranks without a neighbor. A neighbor past the row's own truncation has a value as well.

    Notes
    -----
    S1 eq. 3; with truncation, eq. 8, which truncates the two sets N_i and N_j and keeps all pairs. So a predicted Top-K that
    is too short leaves pairs for edge recall to repair. Every row that is not truncated has the mass 1, to which p_hat adds
    up but for rounding.
    """
    stop = len(neighbor) if stop is None else stop
    neighborhoods = Neighborhoods(neighbor, p_hat, length, length_step)
    return overlaps(neighborhoods, start, stop, product=False, without_pair=without_pair, threads=threads)
