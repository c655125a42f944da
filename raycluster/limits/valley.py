"""The limit of learned scores that a set shows: a valley between kinds of pairs.

What a score of 0.6 means depends on the set. On clean faces such pairs are nearly all of two identities, on blurred ones nearly
all of one. But pairs of one identity gather at high scores and the others at low ones. Where few pairs lie between, a limit is
wrong least often (Prewitt and Mendelsohn 1966, for gray levels of images).

The density of pairs is that of the angle arcsin(sqrt(score)), in which a share is equally uncertain everywhere. A pair counts by
the smaller identity that it would join. One wrong pair merges two small identities, and large ones have more pairs than all
others.

Shapes: N rows, K neighbors per row with the row itself at rank 0, `BINS` bins of the angle.
"""

import math

import numpy as np
from scipy.ndimage import gaussian_filter1d

from raycluster.arrays import Bool, Float32, Float64, Int32
from raycluster.kernels import numba
from raycluster.kernels.edge_rules import COMBINE, Combine, combined, rank_of
from raycluster.limits.far_ranks import MAX_ROWS

BINS = 200
"""Bins of the angle over its whole range, so that a smoothing covers five of them. A limit is exact to about 0.01."""
SMOOTHING = 0.025
"""Standard deviation, as a share of the angle's range, by which the density is smoothed. Raising it fills narrow valleys;
lowering it finds some in the noise of small sets."""
LOWEST, HIGHEST = 0.2, 0.95
"""Scores between which a valley may lie. Outside, hardly a pair of one identity is lost, or hardly one is left."""
RISE, FALL = 1.1, 5.0
"""How many times denser than its floor pairs are somewhere above a valley, and somewhere below it. Raising either finds fewer
valleys. A set of product titles with K = 40 rises by 1.12, and without its valley BCubed F is 7 points lower."""
FLAT = 0.01
"""How far above its floor, as a share, pairs may be as dense and still count as floor. On a flat floor the place of the minimum
is chance. On 3,000 translations it is flat from 0.54 to 0.76: the limit was 0.74 and BCubed F 77.3, and now they are 0.71 and
78.9. Raising it to 0.03 gives 80.2 there, and costs a set of faces 0.25 in place of 0.08."""
ABOVE = round(SMOOTHING * BINS)
"""Bins from the floor up to the limit, one smoothing: a wrong merge is worse than a wrong split. On 54 sets F was the same
as at the floor and precision 0.6 to 0.8 points higher; 1.6 to 1.8 smoothings cost 0.1 of F on faces."""
SCORES = np.sin((np.arange(BINS) + 0.5) / BINS * math.pi / 2) ** 2
"""The score in the middle of each bin."""


def eta_of(neighbor: Int32, score: Float32, combine: Combine, near: float) -> float | None:
    """Return the limit that a set's scores show, None where they show none.

    Parameters
    ----------
    neighbor : int32 (N, K)
        -1 past the last neighbor of a row.
    score : float32 (N, K)
        Learned scores in 0..1, NaN where there is none.
    combine : {"mean", "geometric", "minimum", "maximum"}
        How the scores of a pair's two ends become one.
    near : float
        Of several valleys the one nearest to this score counts: the limit that the model was calibrated to.
    """
    return limit(density(neighbor, score, combine), near)


def density(neighbor: Int32, score: Float32, combine: Combine) -> Float64:
    """Return the weight of pairs (BINS,) by their score.

    Of more than 50,000 rows every n-th is read. A pair counts once for each end that lists the other, with one score of both
    ends as in `edge_rules.score_edges`.

    Parameters
    ----------
    neighbor : int32 (N, K)
        -1 past the last neighbor of a row.
    score : float32 (N, K)
        Learned scores in 0..1, NaN where there is none. Rank 0, the row itself, does not count.
    combine : {"mean", "geometric", "minimum", "maximum"}
        How the scores of a pair's two ends become one.
    """
    rows = np.arange(0, len(neighbor), max(1, -(-len(neighbor) // MAX_ROWS)))
    weight = np.zeros(BINS)
    _add_pairs(rows, neighbor, score, COMBINE.index(combine), weight)
    return weight


@numba.njit(nogil=True, cache=True)
def _expected_neighbors(scores):  # type: ignore[no-untyped-def]
    """Sum of a row's scores (K,): expected neighbors of its identity, at least 1."""
    total = 0.0
    for value in scores:
        # NaN is not above 0.
        if value > 0:
            total += value
    return max(total, 1.0)


@numba.njit(nogil=True, cache=True)
def _add_pairs(rows, neighbor, score, combine, weight):  # type: ignore[no-untyped-def]
    """Add the pairs of some rows to the weight (bins,) of their bins."""
    bins, k = weight.shape[0], neighbor.shape[1]
    expected, returned = np.zeros(len(neighbor)), np.empty(k, np.int64)  # of rows that were met before
    for i in rows:
        for rank in range(1, k):
            returned[rank] = rank_of(i, neighbor[max(neighbor[i, rank], 0)], k)
        own = _expected_neighbors(score[i])
        for rank in range(1, k):
            j, back = neighbor[i, rank], returned[rank]
            if j < 0:
                continue
            value = combined(score[i, rank], score[j, back] if back >= 0 else np.float32(np.nan), combine)
            if value > 0:
                place = int(2 / math.pi * math.asin(math.sqrt(min(np.float64(value), 1.0))) * bins)
                # A score of 1 lies on the upper edge of the last bin.
                if expected[j] == 0:
                    expected[j] = _expected_neighbors(score[j])
                weight[min(place, bins - 1)] += 1 / min(own, expected[j])


def limit(density: Float64, near: float) -> float | None:
    """Return the score a little above the floor of a valley, None where there is none.

    `density` (BINS,) is the weight of pairs by score. Of several valleys the one whose floor is nearest to the score `near`
    counts, and of a flat floor (`FLAT`) the place that is. Sets whose scores fall off evenly, as of mere noise, have none.
    """
    smooth = gaussian_filter1d(density, SMOOTHING * BINS, mode="nearest")
    floors = np.flatnonzero(_is_floor(smooth))
    if len(floors) == 0:
        return None
    distance = np.abs(np.arcsin(np.sqrt(SCORES)) - math.asin(math.sqrt(near)))
    floor = floors[distance[floors].argmin()]
    # Of the runs of bins that are flat, the floor's own.
    is_flat = (smooth <= (1 + FLAT) * smooth[floor]) & (SCORES >= LOWEST) & (SCORES <= HIGHEST)
    run = np.cumsum(np.diff(is_flat, prepend=False))
    flat = np.flatnonzero(run == run[floor])
    nearest = flat[distance[flat].argmin()]
    # Rounded, so that the last bits of a platform's sine change no limit.
    return round(float(SCORES[nearest + ABOVE]), 6)


def _is_floor(smooth: Float64) -> Bool:
    """Return which bins (BINS,) are the floor of a valley.

    A floor is a minimum of the smoothed density between `LOWEST` and `HIGHEST`. The density is `FALL` times as high somewhere
    below it and `RISE` times somewhere above. The last bin of a flat stretch counts.
    """
    highest_below, highest_above = np.maximum.accumulate(smooth), np.maximum.accumulate(smooth[::-1])[::-1]
    is_minimum = np.zeros(BINS, bool)
    is_minimum[1:-1] = (smooth[1:-1] <= smooth[:-2]) & (smooth[1:-1] < smooth[2:])
    stands_out = (highest_above >= RISE * smooth) & (highest_below >= FALL * smooth)
    return np.asarray(is_minimum & stands_out & (SCORES >= LOWEST) & (SCORES <= HIGHEST))
