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

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from raycluster.arrays import Float32, Float64, Floats, Vectors
from raycluster.errors import ConfigError
from raycluster.limits.background import Background, risk
from raycluster.limits.cohesion import Lists

# Sensitivity was measured on nine sets with K = 80: five of 6,000 planted rows each, from singletons to 500 rows per identity,
# three of faces and one of product titles. F is BCubed F after the map equation, of 100 points.
FEWEST_NEIGHBORS = 8
"""Neighbors per row, itself included, from which a threshold can be picked. With fewer, near and far ranks are the same
ones."""
MAX_ROWS = 50_000
"""Rows that are read at most, evenly spread. Shares of rows are then exact to about 0.2 %."""
GRID_STEP = 0.0125
"""Cosine between two thresholds of the grid. Half and twice of it move thresholds by 0.02 at most and F by 0.8."""
HIGHEST = 0.99
"""Cosine that ends the grid; above it the rounding of float16 vectors decides. 0.97 and 0.999 change no threshold."""
FAR_RANKS_FROM = (1 / 4, 1.0), (1 / 10, 2 / 5)
"""Ranks, as shares of K, between which the background is read, twice. Far out there is most of it; nearer, it is read
better where identities are small and the density changes along the way. The reading of less risk counts. The first alone
changes no threshold of these sets, the second alone moves F by up to 3.4. Ranks from 1/6 and 1/20 on miss the
singletons."""
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
MOST_ROWS = 0.9
"""Share of rows for "nearly every": those that are at risk, and those with no background among their neighbors. 0.8 and
0.95 change no threshold."""
BACKGROUND_SHARE = 0.05
"""Share of a row's K - 1 neighbors that random pairs may be expected to be, where these hold no background. Half and twice
of it change no threshold."""
EVEN_FROM = 1 / 16
"""Rank, as a share of K, of the near neighbor that the last one is compared with: the first may be a copy. 1/40 and 1/8
change no threshold."""
EVEN_SPREAD = 2.0
"""Spreads of random pairs that similarity may fall by along the neighbors of one identity. It falls by 0.5 to 1.6 where
identities of 100 rows or more fill 80 ranks. It falls by 4 for lexical vectors of short texts, which 4 would merge."""
RANDOM_PAIRS = 50_000
"""Pairs drawn to measure the cosines of different identities: their median is then exact to 0.6 % of their spread."""
PAIRS_AT_ONCE = 4096
"""Pairs whose vectors are held at once: 32 MiB as float64 with 512 dimensions. Results do not depend on it."""
TYPICAL_WIDTH = 512
"""Dimensions up to which so many pairs are held; wider vectors come in fewer, so that memory stays."""
SMALLEST_SPREAD = 1e-4
"""Lower bound of the spread of random pairs, for sets of copies."""
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
FEW_ROWS_THRESHOLD = 0.5
"""Threshold of a set of at most `FEWEST_NEIGHBORS` rows, which shows none of its own: where most face models part people.
Raising it leaves more of the few rows alone."""
ONE_IN_SETS = 0.1
"""Random pairs above the threshold of a set whose lists hold all of it: one in ten such sets. Raising it joins more."""


@dataclass(frozen=True)
class RandomPairs:
    """Cosines of different identities: median and spread of random pairs.

    Both come from the lower half, which random pairs of one identity are not in.
    """

    median: float
    spread: float
    """One standard deviation of a normal distribution."""

    @classmethod
    def of(cls, cosines: Floats) -> "RandomPairs":
        """Fit to cosines (M,) of pairs drawn at random."""
        # Quantiles of -1 and -2 standard deviations. The wider reading of the two counts.
        median, low, lower = np.quantile(cosines, [0.5, ndtr(-1), ndtr(-2)])
        return cls(float(median), float(max(median - low, (median - lower) / 2, SMALLEST_SPREAD)))

    def tail(self, similarity: Any) -> Any:
        """Return the share of random pairs above similarities of any shape."""
        return ndtr((self.median - similarity) / self.spread)

    def above_all_but_one(self, rows: int) -> float:
        """Return the similarity that one of so many random pairs exceeds on average."""
        return self.median + self.spread * float(-ndtri(1 / rows))


FEW_ROWS_PAIRS = RandomPairs(0.0, 0.1)
"""Random pairs of a set of at most `FEWEST_NEIGHBORS` rows: those of face models with 512 dimensions."""


def sample_pairs(vectors: Vectors, seed: int = 0) -> RandomPairs:
    """Return the cosines of seeded random pairs of unit rows (N, D)."""
    if len(vectors) <= FEWEST_NEIGHBORS:
        return FEW_ROWS_PAIRS
    first, second = np.random.default_rng(seed).integers(0, len(vectors), (2, RANDOM_PAIRS))
    first, second = first[first != second], second[first != second]
    # Few rows have few pairs: each is computed once.
    pairs, place = np.unique(first * len(vectors) + second, return_inverse=True)
    cosines = np.empty(len(pairs))
    step = max(1, PAIRS_AT_ONCE * TYPICAL_WIDTH // max(vectors.shape[1], TYPICAL_WIDTH))
    for start in range(0, len(pairs), step):
        block = slice(start, start + step)
        left, right = (np.asarray(vectors[rows], np.float64) for rows in np.divmod(pairs[block], len(vectors)))
        cosines[block] = (left * right).sum(axis=1)
    return RandomPairs.of(cosines[place])


def above_all_pairs(pairs: RandomPairs, rows: int) -> float:
    """Return the similarity that no random pair of N rows should reach.

    It is at most `FEW_ROWS_THRESHOLD`.
    """
    if rows <= FEWEST_NEIGHBORS:
        return FEW_ROWS_THRESHOLD
    return min(pairs.above_all_but_one(round(rows * (rows - 1) / 2 / ONE_IN_SETS)), FEW_ROWS_THRESHOLD)


def are_all_strangers(similarity: Float32, pairs: RandomPairs) -> bool:
    """Whether no row's nearest neighbor is nearer than random pairs.

    So it is with one-hot vectors once their copies are one row.

    Parameters
    ----------
    similarity : float32 (N, K)
        Similarities of the neighbors, the row itself first.
    pairs : RandomPairs
        Cosines of random pairs of the set.
    """
    is_low = pairs.median < FEW_ROWS_THRESHOLD
    return is_low and float(similarity[:, 1].max()) <= pairs.median + SMALLEST_SPREAD


def above_all_neighbors(similarity: Float32) -> float:
    """Return a threshold that no similarity (N, K) of two rows reaches."""
    return float(similarity[:, 1].max()) + SMALLEST_SPREAD


def pick_threshold(similarity: Float32, pairs: RandomPairs, lists: Lists) -> tuple[float, dict[str, Any]]:
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

    Returns
    -------
    threshold : float
        The lowest similarity of an edge.
    facts : dict
        basis (`FAR_RANKS`, `SINGLETONS`, `FULL_NEIGHBORHOODS`, `WHOLE_LISTS` or `TOO_FEW_ROWS`), risk, random_pair_median
        and random_pair_spread.

    Raises
    ------
    ConfigError
        K is below `FEWEST_NEIGHBORS` in a larger set.
    """
    rows, k = similarity.shape
    if rows <= FEWEST_NEIGHBORS:
        spread = {"random_pair_median": pairs.median, "random_pair_spread": pairs.spread}
        return FEW_ROWS_THRESHOLD, {"basis": TOO_FEW_ROWS, "risk": 1.0, **spread}
    if k < FEWEST_NEIGHBORS:
        raise ConfigError(
            f"A threshold can be picked from {FEWEST_NEIGHBORS} neighbors or more, and knn.k is {k}; "
            "raise it or pass --edges.threshold."
        )
    sample = np.ascontiguousarray(similarity[:: -(-rows // MAX_ROWS)])
    grid, curve = risk_curve(sample, pairs)
    threshold, least, basis = float(grid[_least(curve)]), float(curve.min()), FAR_RANKS
    if least >= SINGLETON_RISK and lists.cohesion(threshold, pairs.median) < LEAST_COHESION:
        threshold, basis = float(np.quantile(sample[:, 1], MOST_SINGLETONS)), SINGLETONS
    elif least >= MOST_ROWS and identities_fill_neighborhoods(sample, pairs, rows):
        threshold, basis = min(threshold, pairs.above_all_but_one(rows)), FULL_NEIGHBORHOODS
    lowest = above_all_pairs(pairs, rows)
    is_among_strangers = k >= rows / 2 and threshold < pairs.median + pairs.spread
    if threshold < lowest and (k >= rows - 1 or is_among_strangers):
        threshold, basis = lowest, WHOLE_LISTS
    facts = {"risk": least, "random_pair_median": pairs.median, "random_pair_spread": pairs.spread}
    return threshold, {"basis": basis, **{name: round(value, 6) for name, value in facts.items()}}


def risk_curve(similarity: Float32, pairs: RandomPairs) -> tuple[Float64, Float64]:
    """Return the thresholds (T,) of the grid and the risk (T,) at each.

    The grid starts at the median of random pairs: a lower threshold makes no sense. Of the two readings of the background,
    the one with the lower least risk counts.
    """
    k = similarity.shape[1]
    grid = np.arange(np.floor(max(pairs.median, 0.0) / GRID_STEP) * GRID_STEP, HIGHEST, GRID_STEP)
    grid = grid if len(grid) else np.array([HIGHEST])  # random pairs are nearly equal
    curves = []
    for near, far in FAR_RANKS_FROM:
        first, last = max(int(k * near), 1), min(int(k * far), k - 1)
        curves.append(risk(similarity, Background.fit(similarity, first, last), grid))
    return grid, min(curves, key=lambda curve: float(curve.min()))


def identities_fill_neighborhoods(similarity: Float32, pairs: RandomPairs, rows: int) -> bool:
    """Whether identities are larger than K.

    Nearly every row's last neighbor is nearer than random pairs come. And most rows' last are about as near as their first.

    Parameters
    ----------
    similarity : float32 (N, K)
        Similarities of a sample's neighbors, the row itself first.
    pairs : RandomPairs
        Cosines of random pairs of the set.
    rows : int
        Rows of the whole set.
    """
    k = similarity.shape[1]
    expected_background = rows * pairs.tail(similarity[:, -1])
    is_full = expected_background < BACKGROUND_SHARE * (k - 1)
    fall = float(np.median(similarity[:, max(1, int(k * EVEN_FROM))] - similarity[:, -1]))
    return float(is_full.mean()) >= MOST_ROWS and fall < EVEN_SPREAD * pairs.spread


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
