"""Transition probabilities among neighbors, and the density of every row on them.

    p_ij = s_ij / sum over c of s_ic            (c: the row itself and its neighbors)

    rho <- P^T rho, from rho = 1 everywhere     (NDDe, S2 eq. 2, which prints P: that would leave ones as they are)

A step moves density about and makes none. So the mean stays 1 over all rows, and over every set of rows that no density
leaves or enters (S2 Theorem 1). In the limit density follows every link, however weak, so the step at which diffusion stops
matters.

Shapes: N rows; R rows of a call; K neighbors per row, the row itself at rank 0; L <= K ranks that density spreads over.
"""

from dataclasses import dataclass

import numba
import numpy as np

from raycluster.arrays import Float32, Float64, Int32

TOLERANCE = 0.05
"""Root mean square change of density per step, relative to its mean of 1, below which diffusion stops. Lowering it
spreads density farther: in the end along every weak link between identities, towards the volume."""


def transition(similarity: Float32, sigma: float | None = None, *, own: bool = True) -> Float32:
    """Return rows of P (R, K), each summing to 1.

    Parameters
    ----------
    similarity : float32 (R, K)
        In 0..1, NaN at ranks without a neighbor. Rank 0 is the row itself and counts as 1, whatever it holds: a row without
        a similar neighbor keeps all its density.
    sigma : float, optional
        None divides by the sum, as printed. A number of 0.001 or more takes softmax(-(1 - s) / sigma), as in the published
        code. Raising it lets far neighbors count more; neighbors of similarity 0 then keep exp(-1 / sigma) each.
    own : bool
        Whether the row itself has a probability. Without, a row without a neighbor has none at all.

    Returns
    -------
    float32 (R, K)
        0 at ranks without a neighbor.
    """
    similarity_64 = similarity.astype(np.float64)
    similarity_64[:, 0] = 1
    weight = similarity_64 if sigma is None else np.exp((similarity_64 - 1) / sigma)
    weight = np.nan_to_num(weight, copy=False)
    weight[:, 0] *= own
    total = weight.sum(axis=1, keepdims=True)
    return np.divide(weight, total, out=np.zeros_like(weight), where=total > 0).astype(np.float32)


def volume(similarity: Float32) -> Float32:
    """Return the standard density (R,): 1 plus a row's similarities to its neighbors."""
    return np.asarray(1 + np.nansum(similarity[:, 1:], axis=1, dtype=np.float64), np.float32)


def ball(similarity: Float32, radius: float) -> Float32:
    """Return how many rows (R,) lie within `radius` of a row, itself included.

    Distance is 1 - similarity (R, K).
    """
    return np.asarray(1 + (similarity[:, 1:] >= np.float32(1 - radius)).sum(axis=1), np.float32)


@dataclass(frozen=True)
class Diffused:
    """The density of all rows and how far diffusion came."""

    density: Float32
    """(N,), 0 or more, mean 1."""
    steps: int
    """Steps that were made."""
    change: float
    """Root mean square over the rows of the change in the last step."""


def diffuse(
    neighbor: Int32, transition: Float32, steps: int, tolerance: float = TOLERANCE, damping: float = 0.0
) -> Diffused:
    """Return the density NDDe of all rows.

    A global step: it reads the whole table once per step, in row order, and holds three float64 vectors (N,).

    Parameters
    ----------
    neighbor : int32 (N, K)
        -1 past the last neighbor. May be a memory map.
    transition : float32 (N, L)
        Rows of P, L <= K; 0 at ranks without a neighbor. May be a memory map.
    steps : int
        Most steps, 1 or more. Raising it lets density that is still moving go on.
    tolerance : float
        Root mean square change of a step below which diffusion stops. Raising it stops earlier.
    damping : float
        Share of its density that a row keeps in a step, 0 to below 1. Raising it slows diffusion.

    Returns
    -------
    Diffused

    Notes
    -----
    With damping a step is rho <- damping rho + (1 - damping) P^T rho. The published code has 0.1, and P without its diagonal.
    S2 eq. 2 and Algorithm 1, whose change is the L2 norm over all rows; the root mean square does not grow with N.
    """
    # float64 in row order: the rows alone decide a bit, and densities that differ by rounding are equal as float32.
    density, change, step = np.ones(len(neighbor)), np.inf, 0
    while step < steps and change >= tolerance:
        after = damping * density + (1 - damping) * _spread(neighbor, transition, density)
        change = float(np.sqrt(np.mean((after - density) ** 2)))
        density, step = after, step + 1
    return Diffused(density.astype(np.float32), step, change)


@numba.njit(nogil=True, cache=True)
def _spread(neighbor: Int32, transition: Float32, density: Float64) -> Float64:
    """Return P^T density, for neighbor (N, K), transition (N, L) and density (N,)."""
    out = np.zeros(len(density))
    # Row by row on one thread: the order of the additions decides their rounding, and reading the table takes the time.
    for i in range(transition.shape[0]):
        for rank in range(transition.shape[1]):
            if neighbor[i, rank] >= 0:
                out[neighbor[i, rank]] += transition[i, rank] * density[i]
    return out
