"""Transition probabilities among neighbors, and the density of every row on them: NDDe (S2 section 4.2) or volume.

    p_ij = s_ij / sum over c of s_ic                 c over the row itself and its neighbors
    rho <- P^T rho, from rho = 1 everywhere          (eq. 2, which prints P: that would leave ones as they are)

A step moves density about and makes none, so the mean over all rows, and over every set of rows that gives nothing away and
gets nothing (S2 Theorem 1), stays 1. In the limit density follows every link, however weak, so where diffusion stops matters.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from raycluster.arrays import Float32, Int32

TOLERANCE = 0.05
"""Root mean square change of density per step, relative to its mean of 1, below which diffusion has settled. Lowering it
spreads density farther: in the end along every weak link between identities, towards the volume."""


def transition(similarity: Float32, sigma: float | None = None) -> Float32:
    """Rows of P (R, K), each summing to 1, from similarities (R, K) in 0..1, NaN where there is no neighbor.

    Rank 0 is the row itself, whose similarity is taken as 1: a row without neighbors, or with none that is similar, goes
    nowhere. With `sigma`, of 0.001 or more, p_ij is softmax(-(1 - s_ij) / sigma) instead: a row with none that is similar
    gives all neighbors the same, exp(-1 / sigma) of what it keeps.
    """
    given = similarity.astype(np.float64)
    given[:, 0] = 1
    weight = given if sigma is None else np.exp((given - 1) / sigma)
    weight = np.nan_to_num(weight, copy=False)
    return (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


def volume(similarity: Float32) -> Float32:
    """The standard density (R,): the sum of a row's similarities (R, K) as in `transition`, its own 1 included."""
    return np.asarray(1 + np.nansum(similarity[:, 1:], axis=1, dtype=np.float64), np.float32)


@dataclass(frozen=True)
class Diffused:
    """Density float32 (N,), above or at 0 with mean 1, after `steps` steps, the last of which changed it by `change`."""

    density: Float32
    steps: int
    change: float
    """Root mean square over the rows: the L2 norm of the change relative to that of the start."""


def diffuse(neighbor: Int32, transition: Float32, steps: int, tolerance: float = TOLERANCE) -> Diffused:
    """NDDe: spread density until a step changes it by less than `tolerance` (root mean square), `steps` (>= 1) times at most.

    neighbor int32 (N, K), -1 where a list is short; transition float32 (N, L), L <= K, 0 at those ranks. Both may be memory
    maps, which are read in row order, once a step. Sums are float64 in row order: rows are all that decides a bit, and
    densities that are equal but for rounding are equal as float32.
    """
    density, change, step = np.ones(len(neighbor)), np.inf, 0
    while step < steps and change >= tolerance:
        spread = _spread(neighbor, transition, density)
        change = float(np.sqrt(np.mean((spread - density) ** 2)))
        density, step = spread, step + 1
    return Diffused(density.astype(np.float32), step, change)


@numba.njit(nogil=True, cache=True)
def _spread(neighbor: Int32, transition: Float32, density: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """P^T density."""
    out = np.zeros(len(density))
    for i in range(transition.shape[0]):
        for rank in range(transition.shape[1]):
            if neighbor[i, rank] >= 0:
                out[neighbor[i, rank]] += transition[i, rank] * density[i]
    return out
