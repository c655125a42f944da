"""The background of every row by the law of its far ranks, and a threshold's risk.

In a row's far ranks the neighbors within cosine distance d = 1 - s grow like d^m, with m estimated per row (Hill; Levina and
Bickel 2004). The same law, extended towards the row, gives the background l expected above any threshold t. For f background
among n neighbors, f Poisson of mean l, and h_n the share of rows with n neighbors:

    wrong(t) = E[(f / n)^2], from E[f; n] = l h_(n-1) and E[f (f - 1); n] = l^2 h_(n-2).

    lost(t) = h_0 e^l: rows that had no true neighbor.

Shapes: N rows, K neighbors per row with the row itself at rank 0, T thresholds of the grid.
"""

from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Float32, Float64

NEAREST_DISTANCE = 1e-6
"""Cosine distance that nearer ones count as: copies of a row are at 0, which has no logarithm. 1e-8 changes no threshold."""
FEWEST_EXPECTED, OCTAVES = -8, 14
"""Rows are pooled by the octave of their expected background, from 2^-8 to 2^6 neighbors. Pools must be alike: with a last
pool from 2^2 on, product titles lose 39 points."""
GRID_STEP = 0.0125
"""Cosine between two thresholds of the grid. Half and twice of it move thresholds by 0.02 at most and F by 0.8."""
HIGHEST = 0.99
"""Cosine that ends the grid; above it the rounding of float16 vectors decides. 0.97 and 0.999 change no threshold."""
FAR_RANKS_FROM = (1 / 4, 1.0), (1 / 10, 2 / 5)
"""Ranks, as shares of K, between which the background is read, twice. Far out there is most of it; nearer, it is read
better where identities are small and the density changes along the way. The reading of less risk counts. The first alone
changes no threshold of these sets, the second alone moves F by up to 3.4. Ranks from 1/6 and 1/20 on miss the
singletons."""
MOST_LOST_FACTOR = 2.0
"""Background, in neighbors, above which a row without any neighbor counts as e^2 lost ones: e^l has no bound. 3 moves F by
up to 1.6, and 1 costs product titles 5."""


@dataclass(frozen=True)
class Background:
    """The law of each row's background: neighbors within d grow like d^dimension."""

    dimension: Float64
    """(N,)."""
    farthest: Float64
    """(N,): logarithm of the distance of the last rank."""
    cut: Float32
    """(N,): similarity of the last rank."""
    last: int
    """The last rank: so many neighbors lie within its distance."""
    k: int

    @classmethod
    def fit(cls, similarity: Float32, first: int, last: int) -> "Background":
        """Return the law of each row, fitted to some of its ranks.

        Parameters
        ----------
        similarity : float32 (N, K)
            Similarities of each row's neighbors.
        first, last : int
            The ranks, both included.

        Notes
        -----
        The estimator of Hill, as Levina and Bickel (2004) apply it to distances.
        """
        distance = np.maximum(1 - similarity[:, first : last + 1].astype(np.float64), NEAREST_DISTANCE)
        log_distance = np.log(distance)
        farthest = log_distance[:, -1]
        # Hill's estimate is of all ranks up to the last; without the first ones, its mean is shorter by this factor.
        ratio = first / last
        truncation = 1 - ratio * np.log(1 / ratio) / (1 - ratio)
        mean_log = (farthest[:, None] - log_distance[:, :-1]).mean(axis=1)
        return cls(
            truncation / np.maximum(mean_log, NEAREST_DISTANCE),
            farthest,
            similarity[:, last],
            last,
            similarity.shape[1],
        )

    def expected(self, threshold: float) -> Float64:
        """Return background neighbors (N,) above a threshold; K - 1 below the last rank."""
        log_distance = np.log(max(1 - threshold, NEAREST_DISTANCE))
        growth = np.exp(np.minimum(self.dimension * (log_distance - self.farthest), 0))
        return np.where(threshold > self.cut, self.last * growth, self.k - 1.0)


def grid_from(lowest: float, below: float = HIGHEST) -> Float64:
    """Return thresholds (T,) in steps; one at least.

    Parameters
    ----------
    lowest : float
        The first is the step at or below it, or 0 where it is negative.
    below : float
        It ends the grid.
    """
    grid = np.arange(np.floor(max(lowest, 0.0) / GRID_STEP) * GRID_STEP, below, GRID_STEP)
    return grid if len(grid) else np.array([below])


def lost_and_wrong(similarity: Float32, grid: Float64) -> tuple[Float64, Float64]:
    """Return lost and wrong, two shares of rows, at every threshold of a grid.

    Of the two readings of the background (`FAR_RANKS_FROM`), the one counts whose least risk, lost + wrong, is lower.

    Parameters
    ----------
    similarity : float32 (N, K)
        Similarities of each row's neighbors, the row itself first.
    grid : float64 (T,)
        Thresholds, ascending.
    """
    k = similarity.shape[1]
    readings = []
    for near, far in FAR_RANKS_FROM:
        first, last = max(int(k * near), 1), min(int(k * far), k - 1)
        readings.append(shares_beside(similarity, Background.fit(similarity, first, last), grid))
    return min(readings, key=lambda reading: float((reading[0] + reading[1]).min()))


def shares_beside(similarity: Float32, background: Background, grid: Float64) -> tuple[Float64, Float64]:
    """Return lost and wrong beside one reading of the background.

    Parameters
    ----------
    similarity : float32 (N, K)
        Similarities of each row's neighbors, the row itself first.
    background : Background
        The law of each row.
    grid : float64 (T,)
        Thresholds, ascending.
    """
    rows, k = similarity.shape
    neighbors = np.maximum(np.arange(k), 1.0)
    lost, wrong = np.zeros(len(grid)), np.zeros(len(grid))
    for at, threshold in enumerate(grid):
        above = (similarity[:, 1:] >= threshold).sum(axis=1)
        expected = background.expected(float(threshold))
        octave = np.log2(np.maximum(expected, 2.0**FEWEST_EXPECTED)).astype(int) - FEWEST_EXPECTED
        octave = np.clip(octave, 0, OCTAVES)
        for pool in np.unique(octave):
            mean = float(expected[octave == pool].mean())
            count = np.bincount(above[octave == pool], minlength=k).astype(np.float64)
            # E[f^2; n] = E[f; n] + E[f (f - 1); n], from the rows with one and two neighbors fewer.
            squares = np.zeros(k)
            squares[1:] = mean * count[:-1]
            squares[2:] += mean * mean * count[:-2]
            share = np.minimum(squares / neighbors**2, count)
            # Rows with all K - 1 neighbors above have more: their background is the mean's share of what is seen.
            share[-1] = count[-1] * min(1.0, mean / (k - 1)) ** 2
            lost[at] += count[0] * np.exp(min(mean, MOST_LOST_FACTOR))
            wrong[at] += share[1:].sum()
    # A row that has lost its neighbors at a threshold has lost them at every higher one.
    lost = np.minimum.accumulate(np.minimum(lost / rows, 1)[::-1])[::-1]
    return lost, wrong / rows
