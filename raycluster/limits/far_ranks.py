"""A similarity threshold that is read from the data, without labels.

Of the neighbors that a row has above a threshold t, some are true and some are background that happens to lie as near. The
row's own far ranks show how much background there is (`background`). Two shares of rows follow for every t of a grid:

    lost(t): rows that keep no true neighbor.

    wrong(t): rows where background outweighs what is true, E[(f / n)^2] for f background among n neighbors.

The threshold is where lost + wrong, the risk, is least.

Where even the least risk is high, the far ranks hold little background that is not as near as the neighbors. Either neighbors
lie on any sides of their row (`cohesion`): the rows are singletons, and t goes above nearly every pair. Or nearly every row's
neighbors stand out of random pairs, the last about as near as the first: identities are larger than K, and t goes down to where
random pairs end. Where the last neighbors are much farther, they lead through relatives of every degree, as texts have, and not
through one identity.

Shapes: N rows, K neighbors per row with the row itself at rank 0, D dimensions, T thresholds of the grid, M pairs.
"""

from typing import Any

import numpy as np

from raycluster.arrays import Float32, Float64
from raycluster.errors import ConfigError
from raycluster.limits.background import grid_from, lost_and_wrong
from raycluster.limits.cohesion import Lists
from raycluster.limits.random_pairs import (
    FEW_ROWS_THRESHOLD,
    FEWEST_NEIGHBORS,
    MOST_ROWS,
    SMALLEST_SPREAD,
    RandomPairs,
    above_all_pairs,
    identities_fill_neighborhoods,
)
from raycluster.limits.second_level import second_level

# Sensitivity was measured on nine sets with K = 80: five of 6,000 planted rows each, from singletons to 500 rows per identity,
# three of faces and one of product titles. F is BCubed F after the map equation, of 100 points.
MAX_ROWS = 50_000
"""Rows that are read at most, evenly spread. Shares of rows are then exact to about 0.2 %."""
TIE = 0.005
"""Share of rows by which two risks count as equal: about twice the error of a share. From 0.0025 to 0.01 F moves by 0.7 at
most."""
UNRESOLVED_RISK = 0.8
"""Least risk, a share of rows, from which the far ranks are taken to hold no background. The least risk is 0.16 to 0.76 on
the sets that have some, and 0.85 and 0.97 on the others. From 0.6 to 0.85 F moves by 0.8 at most; 0.9 misses the
singletons."""
SINGLETON_RISK = 0.7
"""Least risk, a share of rows, from which a set may be singletons: it is 0.74 to 0.96 on seven generated sets of
strangers. Other values were not tried."""
LEAST_COHESION = 0.15
"""Cohesion of neighbors below which a set is taken to be singletons: that of identities with cosines of 0.18. It is at most 0.05
on generated strangers, and 0.24 to 0.46 on 14 sets with identities, real and generated. A set whose energy falls like 1 over the
dimension has 0.24 without any identity."""
MOST_SINGLETONS = 0.99
"""Share of rows whose nearest neighbor lies below the threshold of a set of singletons. Raising it merges fewer of them by
mistake: F of singletons is 96.5 at 0.9, 98.4 at 0.95 and 99.7 at 0.99."""
FAR_RANKS = "background of far ranks"
"""Basis of a threshold that random pairs had no influence on."""
SINGLETONS = "cohesion: neighbors have nothing in common"
"""Basis of a threshold of singletons."""
FULL_NEIGHBORHOODS = "random pairs: identities fill the lists"
"""Basis of a threshold of identities larger than K."""
WHOLE_LISTS = "random pairs: lists hold the whole set"
"""Basis of a threshold where lists have no far ranks: all other rows, or half of them and only random pairs, stand in them."""
TOO_FEW_ROWS = "default: too few rows to pick one"
"""Basis of a threshold that the data had no influence on."""
SECOND_LEVEL = "background of far ranks, below near copies"
"""Basis of a threshold below the one of near copies."""
CROWDED = "random pairs: as near as the neighbors"
"""Basis of a threshold where random pairs come as near as neighbors do: all pictures are alike to a small network."""
CROWDED_SHARE = 1 / 3
"""Share of listed pairs above the threshold there. Raising it joins more. BCubed F of two sets of emoji pictures by `cosine` is
22 and 29 at 1/3. It is 19 and 31 at 1/4, 14 and 31 at 1/10, and 10 and 4 at the threshold of least risk."""


def above_all_neighbors(similarity: Float32) -> float:
    """Return a threshold that no similarity (N, K) of two rows reaches."""
    return float(similarity[:, 1].max()) + SMALLEST_SPREAD


def pick_threshold(
    similarity: Float32, pairs: RandomPairs, lists: Lists, sampled_from: int | None = None
) -> tuple[float, dict[str, Any]]:
    """Return a similarity threshold for a set, and how it was picked.

    Parameters
    ----------
    similarity : float32 (N, K)
        Similarities of each row's neighbors, the row itself first. Of more than `MAX_ROWS` rows every n-th is read; of fewer,
        their order does not matter.
    pairs : RandomPairs
        Cosines of random pairs of the set.
    lists : Lists
        The neighbors themselves, read where the risk is high.
    sampled_from : int, optional
        N, where `similarity` has the rows that are read and no others.

    Returns
    -------
    threshold : float
        The lowest similarity of an edge.
    facts : dict
        basis (`FAR_RANKS`, `SECOND_LEVEL`, `SINGLETONS`, `FULL_NEIGHBORHOODS`, `CROWDED`, `WHOLE_LISTS` or
        `TOO_FEW_ROWS`), risk, random_pair_median and random_pair_spread.

    Raises
    ------
    ConfigError
        K is below `FEWEST_NEIGHBORS` in a larger set.
    """
    rows, k = sampled_from or len(similarity), similarity.shape[1]
    if rows <= FEWEST_NEIGHBORS:
        spread = {"random_pair_median": pairs.median, "random_pair_spread": pairs.spread}
        return FEW_ROWS_THRESHOLD, {"basis": TOO_FEW_ROWS, "risk": 1.0, **spread}
    if k < FEWEST_NEIGHBORS:
        raise ConfigError(
            f"A threshold can be picked from {FEWEST_NEIGHBORS} neighbors or more, and knn.k is {k}; "
            "raise it or pass --edges.threshold."
        )
    sample = np.ascontiguousarray(similarity if sampled_from else similarity[:: -(-rows // MAX_ROWS)])
    threshold, risk, basis = _of_background(sample, pairs, lists, rows)
    lowest, is_among_strangers = above_all_pairs(pairs, rows), threshold < pairs.median + pairs.spread
    if threshold < lowest and (k >= rows - 1 or (k >= rows / 2 and is_among_strangers)):
        threshold, basis = lowest, WHOLE_LISTS
    facts = {"risk": risk, "random_pair_median": pairs.median, "random_pair_spread": pairs.spread}
    return threshold, {"basis": basis, **{name: round(value, 6) for name, value in facts.items()}}


def _of_background(sample: Float32, pairs: RandomPairs, lists: Lists, rows: int) -> tuple[float, float, str]:
    """Return the threshold of least risk, its risk, and its basis.

    Where the background does not show, another threshold takes its place.

    Parameters
    ----------
    sample : float32 (N, K)
        Similarities of the rows that are read.
    pairs, lists
        As in `pick_threshold`.
    rows : int
        Rows of the whole set.
    """
    grid = grid_from(pairs.median)
    lost, wrong = lost_and_wrong(sample, grid)
    curve = lost + wrong
    threshold, risk = float(grid[_least(curve)]), float(curve.min())
    ends_among_others = sample.shape[1] < rows / 2
    if risk >= SINGLETON_RISK and lists.cohesion(threshold, pairs.median) < LEAST_COHESION:
        return float(np.quantile(sample[:, 1], MOST_SINGLETONS)), risk, SINGLETONS
    if risk >= MOST_ROWS and identities_fill_neighborhoods(sample, pairs, rows):
        return min(threshold, pairs.above_all_but_one(rows)), risk, FULL_NEIGHBORHOODS
    if risk >= MOST_ROWS and ends_among_others and threshold < pairs.median + pairs.spread:
        return float(np.quantile(sample[:, 1:], 1 - CROWDED_SHARE)), risk, CROWDED
    if risk < UNRESOLVED_RISK and ends_among_others and (second := second_level(sample, threshold, pairs, rows)):
        return second.threshold, second.risk, SECOND_LEVEL
    return threshold, risk, FAR_RANKS


def _least(curve: Float64) -> int:
    """Return the place of the least risk (T,): the middle of a run nearly as low.

    Where all risk is high the end of that run: the evidence is thin, and a wrong merge is worse than a wrong split.
    """
    low = high = int(curve.argmin())
    while low > 0 and curve[low - 1] <= curve.min() + TIE:
        low -= 1
    while high < len(curve) - 1 and curve[high + 1] <= curve.min() + TIE:
        high += 1
    return high if curve.min() >= UNRESOLVED_RISK else (low + high) // 2
