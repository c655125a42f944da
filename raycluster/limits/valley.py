"""The limit of learned scores that a set itself shows: the valley between its pairs of one identity and those of two.

What a score of 0.6 means depends on the set: on clean faces such pairs are nearly all strangers, on blurred ones nearly all
the same person. But pairs of one identity gather at high scores and strangers at low ones, and where few pairs lie between, the
limit is wrong least often (Prewitt and Mendelsohn 1966, for gray levels of images). The density is that of the angle
arcsin(sqrt(score)), in which a share is equally uncertain everywhere, and a pair counts by the smaller identity that it would
join: one wrong pair merges two small identities, and large ones have more pairs than all others.
"""

import math

import numpy as np
from scipy.ndimage import gaussian_filter1d

from raycluster.arrays import Float32, Float64, Int32
from raycluster.kernels import numba
from raycluster.kernels.edge_rules import COMBINE, Combine, combined, rank_of
from raycluster.limits.far_ranks import MAX_ROWS

BINS = 200
"""Of the angle, over all of its range."""
SMOOTHING = 0.025
"""Standard deviation, in parts of that range, that the density is smoothed by."""
LOWEST, HIGHEST = 0.2, 0.95
"""Scores between which a valley may lie."""
RISE, FALL = 1.1, 5.0
"""How many times higher than its floor the density is somewhere above a valley, and somewhere below it."""
ABOVE = round(SMOOTHING * BINS)
"""Bins that the limit lies above the floor: a wrong merge is worse than a wrong split, and F does not fall by it
(benchmarks/auto.md)."""
SCORES = np.sin((np.arange(BINS) + 0.5) / BINS * math.pi / 2) ** 2


@numba.njit(nogil=True, cache=True)
def _believed(score):  # type: ignore[no-untyped-def]
    """Neighbors of its identity that a row expects, at least 1."""
    total = 0.0
    for each in score:
        if each > 0:
            total += each
    return max(total, 1.0)


@numba.njit(nogil=True, cache=True)
def _count(rows, neighbor, score, combine, found):  # type: ignore[no-untyped-def]
    for i in rows:
        own = _believed(score[i])
        for rank in range(1, neighbor.shape[1]):
            j = neighbor[i, rank]
            if j < 0:
                continue
            back = rank_of(i, neighbor[j], neighbor.shape[1])
            value = combined(score[i, rank], score[j, back] if back >= 0 else np.float32(np.nan), combine)
            if value > 0:
                place = int(2 / math.pi * math.asin(math.sqrt(min(np.float64(value), 1.0))) * found.shape[0])
                found[min(place, found.shape[0] - 1)] += 1 / min(own, _believed(score[j]))


def eta_of(neighbor: Int32, score: Float32, combine: Combine, near: float) -> float | None:
    """The limit that the scores (N, K) of a set show, the nearest to `near` if they show several; None if none."""
    return limit(density(neighbor, score, combine), near)


def density(neighbor: Int32, score: Float32, combine: Combine) -> Float64:
    """Pairs (BINS,) by their score, from the neighbors and scores (N, K) of a set; of 50,000 rows, evenly chosen, at most.

    Scores lie in 0..1, NaN where there is none; rank 0, self, does not count. A pair's two ends are joined as the edges are
    (`edge_rules.score_edges`), and it counts once for each end that lists the other.
    """
    rows = np.arange(0, len(neighbor), max(1, -(-len(neighbor) // MAX_ROWS)))
    found = np.zeros(BINS)
    _count(rows, neighbor, score, COMBINE.index(combine), found)
    return found


def limit(density: Float64, near: float) -> float | None:
    """The score a little above (`ABOVE`) the floor of a valley of `density` (BINS,): of several, of the one whose floor is
    nearest to `near`; None without one.

    A valley lies between `LOWEST` and `HIGHEST`, and the smoothed density is `FALL` times higher somewhere below and `RISE` times
    somewhere above. Sets whose scores fall off evenly, as of mere noise, have none.
    """
    smooth = gaussian_filter1d(density, SMOOTHING * BINS, mode="nearest")
    below, above = np.maximum.accumulate(smooth), np.maximum.accumulate(smooth[::-1])[::-1]
    lowest = np.zeros(BINS, bool)
    lowest[1:-1] = (smooth[1:-1] <= smooth[:-2]) & (smooth[1:-1] < smooth[2:])
    lowest &= (above >= RISE * smooth) & (below >= FALL * smooth) & (SCORES >= LOWEST) & (SCORES <= HIGHEST)
    places = np.flatnonzero(lowest)
    if len(places) == 0:
        return None
    angle = np.arcsin(np.sqrt(SCORES[places]))
    nearest = places[np.abs(angle - math.asin(math.sqrt(near))).argmin()]
    return round(float(SCORES[nearest + ABOVE]), 6)
