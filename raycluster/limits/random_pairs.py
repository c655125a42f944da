"""Cosines of different identities, read from random pairs of rows.

Nearly all random pairs are of two identities. They show how near strangers come, whatever the neighbor lists hold.

Shapes: N rows, D dimensions, M pairs, K neighbors per row with the row itself at rank 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from raycluster.arrays import Float32, Floats, Vectors
from raycluster.limits.measured_vectors import MeasuredVectors

FEWEST_NEIGHBORS = 8
"""Neighbors per row, itself included, from which a threshold can be picked. With fewer, near and far ranks are the same
ones."""
RANDOM_PAIRS = 50_000
"""Pairs drawn to measure the cosines of different identities: their median is then exact to 0.6 % of their spread."""
PAIRS_AT_ONCE = 4096
"""Pairs whose vectors are held at once: 32 MiB as float64 with 512 dimensions. Results do not depend on it."""
TYPICAL_WIDTH = 512
"""Dimensions up to which so many pairs are held; wider vectors come in fewer, so that memory stays."""
SMALLEST_SPREAD = 1e-4
"""Lower bound of the spread of random pairs, for sets of copies."""
FEW_ROWS_THRESHOLD = 0.5
"""Threshold of a set of at most `FEWEST_NEIGHBORS` rows, which shows none of its own: where most face models part people.
Raising it leaves more of the few rows alone."""
ONE_IN_SETS = 0.1
"""Random pairs above the threshold of a set whose lists hold all of it: one in ten such sets. Raising it joins more."""
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


def sample_pairs(vectors: Vectors | MeasuredVectors, seed: int = 0) -> RandomPairs:
    """Return the cosines of seeded random pairs of unit rows (N, D)."""
    if isinstance(vectors, MeasuredVectors):
        measured: RandomPairs = vectors.pairs()
        return measured
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
