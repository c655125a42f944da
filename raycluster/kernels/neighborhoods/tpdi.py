"""Transition-probability-based distance of rows and their neighbors (S2 section 4.3).

    d_ij = 1 - sum over c in N_i and N_j of sqrt(p_ic p_jc)        (eq. 4), p as in `raycluster.kernels.neighborhoods.diffusion`

It lies in 0..1, is 0 where two rows have the same transition probabilities, and with equal ones on lists of one length
d = 1 - 2 J / (1 + J) for the Jaccard similarity J of the lists.
"""

import numpy as np
import numpy.typing as npt

from raycluster.arrays import Float32, Int32
from raycluster.kernels.neighborhoods.overlap import overlaps


def closeness(
    neighbor: Int32,
    root: Float32,
    start: int = 0,
    stop: int | None = None,
    *,
    wanted: npt.NDArray[np.bool_] | None = None,
    threads: int | None = None,
) -> Float32:
    """1 - d of rows start..stop with each of their K neighbors, float32 (stop - start, K) in 0..1; 0 where there is none.

    neighbor int32 (N, K), self at rank 0, -1 where a list is short; root float32 (N, K), the square roots of P's rows. With
    `wanted` (stop - start, K) only those pairs are computed, others are 0. `threads` caps the numba threads; the result does
    not depend on it.
    """
    stop = len(neighbor) if stop is None else stop
    length, half = np.full(len(neighbor), neighbor.shape[1], np.int64), np.full(len(neighbor), 0.5)
    found = overlaps(neighbor, root, start, stop, length, half, product=True, wanted=wanted, threads=threads)
    return np.minimum(found, 1, out=found)
