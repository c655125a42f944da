"""Transition-probability-based distance (TPDi) of neighbors (S2 section 4.3).

    d_ij = 1 - sum over c in N_i and N_j of sqrt(p_ic p_jc)        (eq. 4), p as in `diffusion.transition`

It lies in 0..1 and is 0 where two rows have the same transition probabilities. For rows with equally many
neighbors, all of one probability, d = 1 - 2 J / (1 + J): J is the Jaccard similarity of the neighborhoods.

Shapes: N rows in all; R rows of a call; K neighbors per row, the row itself at rank 0.
"""

import numpy as np

from raycluster.arrays import Bool, Float32, Int32
from raycluster.kernels.neighborhoods.overlap import Neighborhoods, overlaps


def closeness(
    neighbor: Int32,
    root: Float32,
    start: int = 0,
    stop: int | None = None,
    *,
    is_needed: Bool | None = None,
    threads: int | None = None,
) -> Float32:
    """Return 1 - d of rows start..stop with each of their neighbors.

    Work and memory depend on the rows and on K, not on N.

    Parameters
    ----------
    neighbor : int32 (N, K)
        The row itself at rank 0, -1 past the last neighbor.
    root : float32 (N, K)
        Square roots of the transition probabilities, 0 at ranks without a neighbor.
    start, stop : int
        The rows that are computed; all of them by default.
    is_needed : bool (R, K), optional
        Pairs to compute; the others are 0. None computes all.
    threads : int, optional
        Cap on numba's threads. The result does not depend on it.

    Returns
    -------
    float32 (R, K)
        In 0..1; 0 at ranks without a neighbor.
    """
    stop = len(neighbor) if stop is None else stop
    neighborhoods = Neighborhoods(neighbor, root)
    shared = overlaps(neighborhoods, start, stop, product=True, is_needed=is_needed, threads=threads)
    # Square roots are rounded to float32, so that a row's closeness to itself may exceed 1 by a few units in the last place.
    return np.minimum(shared, 1, out=shared)
