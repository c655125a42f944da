"""A second level of neighbors, below near copies.

Nearly every row may have near copies, such as the frames of a film or the shots of one burst. Then a threshold right below the
copies is wrong on no row. But it parts every identity into its bursts. The neighbors below that threshold show whether there is
more. They are read like the lists of a set of its own, with the same law of the background:

    lost(t): rows that gain no true neighbor down to t.

    wrong(t): rows where background outweighs what they gain.

Thresholds that random pairs reach do not count. The second level counts where most rows gain a true neighbor, and at most half of
these gain more wrong than true. Or identities fill the lists below the copies: these neighbors are nearer than random pairs come
and about equally near, and few pairs lie between them and the copies.

Shapes: N rows, K neighbors per row with the row itself at rank 0.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from raycluster.arrays import Float32
from raycluster.limits.background import GRID_STEP, grid_from, lost_and_wrong
from raycluster.limits.random_pairs import FEWEST_NEIGHBORS, SMALLEST_SPREAD, RandomPairs, identities_fill_neighborhoods

SHORTER = 0.1
"""Share of rows that are left out because few of their neighbors lie below the threshold. Lower values shorten the lists."""
LEAST_APART = 0.5
"""Least distance of the two levels, in spreads of random pairs. Nearer, the second is the rest of the first: 0.4 where identities
of 30 rows have one level, and 0.8 or more on bursts."""
MOST_LOST = 0.5
"""Rows that gain no true neighbor, at most. Faces in bursts have 0.27 to 0.42, and faces without have 0.59 and more."""
MOST_WRONG = 0.5
"""Of the rows that gain some, those that gain more wrong than true, at most. It is 0.39 or less on faces in bursts, bursts of
generated identities and identities in modes. It is 0.66 or more on 47 sets that have one level only."""
DEEP = 2.0
"""How many times fewer pairs lie between two levels than on either. It is 3 to 6 on identities in modes. It is 0.8 to 1.3 on
texts, whose neighbors are relatives of every degree."""
SMOOTHING = 2.0
"""Standard deviation, in steps of similarity, by which the numbers of pairs are smoothed. Other values were not tried."""


class Level(NamedTuple):
    """A threshold below near copies."""

    threshold: float
    risk: float
    """lost + wrong, of the neighbors below the copies."""


def second_level(similarity: Float32, threshold: float, pairs: RandomPairs, rows: int) -> Level | None:
    """Return the level below a threshold, None where a set has one level.

    Parameters
    ----------
    similarity : float32 (N, K)
        Similarities of a sample's neighbors, the row itself first.
    threshold : float
        The threshold of the first level.
    pairs : RandomPairs
        Cosines of random pairs of the set.
    rows : int
        Rows of the whole set.
    """
    below = lists_below(similarity, threshold)
    lowest = pairs.above_all_but_one(rows)
    grid = grid_from(lowest, threshold - LEAST_APART * pairs.spread)
    grid = grid[grid >= lowest]
    # Cosines of sparse vectors are mostly 0: random pairs have no spread, and the steps of shared words would count as levels.
    if below.shape[1] < FEWEST_NEIGHBORS or not len(grid) or pairs.spread <= SMALLEST_SPREAD:
        return None
    lost, wrong = lost_and_wrong(below, grid)
    best = int((lost + wrong).argmin())
    risk = float(lost[best] + wrong[best])
    if lost[best] <= MOST_LOST and wrong[best] <= MOST_WRONG * (1 - lost[best]):
        return Level(float(grid[best]), risk)
    if identities_fill_neighborhoods(below, pairs, rows) and are_apart(similarity, threshold):
        return Level(lowest, risk)
    return None


def lists_below(similarity: Float32, threshold: float) -> Float32:
    """Return lists without the neighbors that reach a threshold.

    Parameters
    ----------
    similarity : float32 (N, K)
        Similarities of neighbors in descending order, the row itself first.
    threshold : float
        Similarities that reach it are left out.

    Returns
    -------
    float32 (R, L)
        Of the R rows that have L - 1 neighbors below the threshold, the nearest of these; the row itself is first.
    """
    above = (similarity[:, 1:] >= threshold).sum(axis=1)
    most = int(np.quantile(above, 1 - SHORTER))
    left = np.flatnonzero(above <= most)
    ranks = above[left, None] + 1 + np.arange(similarity.shape[1] - 1 - most)
    return np.hstack([similarity[left, :1], np.take_along_axis(similarity[left], ranks, axis=1)])


def are_apart(similarity: Float32, threshold: float) -> bool:
    """Whether few listed pairs lie between those below a threshold and those above it.

    Parameters
    ----------
    similarity : float32 (N, K)
        Similarities of neighbors, the row itself first.
    threshold : float
        It lies somewhere between the two levels.
    """
    edges = np.arange(float(similarity[:, 1:].min()), 1 + GRID_STEP, GRID_STEP)
    count, _ = np.histogram(similarity[:, 1:], edges)
    smooth = gaussian_filter1d(count.astype(np.float64), SMOOTHING, mode="constant")
    place = int(np.clip(np.searchsorted(edges, threshold) - 1, 1, len(smooth) - 1))
    low, high = int(smooth[:place].argmax()), place + int(smooth[place:].argmax())
    return bool(DEEP * smooth[low : high + 1].min() <= min(smooth[low], smooth[high]))
