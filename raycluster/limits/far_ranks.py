"""A similarity threshold read from the data, without labels.

Of the neighbors that a row has above a threshold t, some are true and some are background that happens to lie as near.
How many are background is read from the row's own far ranks: there the neighbors within cosine distance d = 1 - s grow
like d^m, with m estimated a row (Hill; Levina and Bickel 2004), and the same law extrapolated towards the row tells how
many to expect nearer than any t. Two shares of rows follow for every t of a grid:

    lost(t)    rows that keep no true neighbor
    wrong(t)   rows where background outweighs what is true: E[(f / n)^2] for f background among n neighbors

With f Poisson of mean l, and h_n the share of rows with n neighbors, these are exact without knowing which neighbors are
true: E[f; n] = l h_(n-1), E[f (f - 1); n] = l^2 h_(n-2), and h_0 e^l rows had no true neighbor. The threshold is where
lost + wrong is least.

Where even the least risk is high the far ranks do not show any background, and the cosines of random pairs decide: hardly
a neighbor stands out of them (only singletons: t goes above nearly every pair), or nearly every row's whole list does, the
last about as near as the first (identities larger than the list: t goes down to where random pairs end). Where the last are much
farther the list leads through relatives of every degree, such as texts have, and not through one identity.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from raycluster.arrays import Float32, Float64, Vectors
from raycluster.errors import ConfigError

GRID_STEP = 0.0125
HIGHEST = 0.99
TIE = 0.005
UNRESOLVED_RISK = 0.8
FAR_RANKS = "background of far ranks"
"""How a threshold was found that random pairs had no part in."""
FEW_NEIGHBORS = 5.0
MOST_ROWS = 0.9
EVEN_LIST = 2.0
"""Spreads of random pairs that similarity falls by along most lists of one identity, at most: 0.5 to 1.6 where identities of 100
rows or more fill lists of 80; 4 on lexical vectors of short texts."""
FEWEST_NEIGHBORS = 8
MAX_ROWS = 50_000
RANDOM_PAIRS = 50_000


@dataclass(frozen=True)
class RandomPairs:
    """Cosines of different identities: median and spread of random pairs, taken from the lower half.

    The lower half keeps out the random pairs that are the same identity after all.
    """

    median: float
    spread: float

    @classmethod
    def of(cls, cosines: npt.NDArray[np.floating]) -> "RandomPairs":
        """Fit to cosines (M,) of pairs drawn at random."""
        median, low, lower = np.quantile(cosines, [0.5, ndtr(-1), ndtr(-2)])
        return cls(float(median), float(max(median - low, (median - lower) / 2, 1e-4)))

    def tail(self, similarity: Any) -> Any:
        """Share of random pairs above a similarity."""
        return ndtr((self.median - similarity) / self.spread)


def sample_pairs(vectors: Vectors, seed: int = 0) -> RandomPairs:
    """Cosines of seeded random pairs of the unit rows `vectors` (N, D)."""
    first, second = np.random.default_rng(seed).integers(0, len(vectors), (2, RANDOM_PAIRS))
    first, second = first[first != second], second[first != second]
    cosines = np.empty(len(first))
    for start in range(0, len(first), 4096):
        part = slice(start, start + 4096)
        left, right = (np.asarray(vectors[rows[part]], np.float64) for rows in (first, second))
        cosines[part] = (left * right).sum(axis=1)
    return RandomPairs.of(cosines)


def _background(similarity: Float32, first: int, last: int) -> Callable[[float], Float64]:
    """Expected background neighbors above t of every row, from its ranks first..last."""
    log_distance = np.log(np.maximum(1 - similarity[:, first : last + 1].astype(np.float64), 1e-6))
    farthest = log_distance[:, -1]
    ratio = first / last
    truncation = 1 - ratio * np.log(1 / ratio) / (1 - ratio)
    dimension = truncation / np.maximum((farthest[:, None] - log_distance[:, :-1]).mean(axis=1), 1e-6)
    cut = similarity[:, last]

    def expected(t: float) -> Float64:
        growth = np.exp(np.minimum(dimension * (np.log(max(1 - t, 1e-6)) - farthest), 0))
        return np.where(t > cut, last * growth, similarity.shape[1] - 1.0)

    return expected


def _risk(similarity: Float32, background: Callable[[float], Float64], grid: Float64) -> Float64:
    """lost + wrong at every t of the grid; rows are pooled by octaves of their expected background."""
    rows, k = similarity.shape
    neighbors = np.maximum(np.arange(k), 1.0)
    lost, wrong = np.zeros(len(grid)), np.zeros(len(grid))
    for at, t in enumerate(grid):
        above = (similarity[:, 1:] >= t).sum(axis=1)
        expected = background(float(t))
        octave = np.clip(np.log2(np.maximum(expected, 2.0**-8)).astype(int) + 8, 0, 14)
        for pool in np.unique(octave):
            mean = float(expected[octave == pool].mean())
            seen = np.bincount(above[octave == pool], minlength=k).astype(np.float64)
            squares = np.zeros(k)
            squares[1:] = mean * seen[:-1]
            squares[2:] += mean * mean * seen[:-2]
            share = np.minimum(squares / neighbors**2, seen)
            share[-1] = seen[-1] * min(1.0, mean / (k - 1)) ** 2
            lost[at] += seen[0] * np.exp(min(mean, 2.0))
            wrong[at] += share[1:].sum()
    lost = np.minimum.accumulate(np.minimum(lost / rows, 1)[::-1])[::-1]
    return lost + wrong / rows


def _least(risk: Float64) -> int:
    """The middle of the run around the least risk where risk is nearly as low; its end where all risk is high.

    There the evidence is thin, and a wrong merge is worse than a wrong split.
    """
    low = high = int(risk.argmin())
    while low > 0 and risk[low - 1] <= risk.min() + TIE:
        low -= 1
    while high < len(risk) - 1 and risk[high + 1] <= risk.min() + TIE:
        high += 1
    return high if risk.min() >= UNRESOLVED_RISK else (low + high) // 2


def pick_threshold(similarity: Float32, pairs: RandomPairs) -> tuple[float, dict[str, Any]]:
    """The similarity threshold for rows with neighbor similarities (N, K), self first, and how it was found.

    Deterministic and independent of the order of rows up to 50,000; of more rows, every n-th in row order is used.
    Raises ConfigError for K below 8: too few ranks to tell background from identity.
    """
    k = similarity.shape[1]
    if k < FEWEST_NEIGHBORS:
        raise ConfigError(
            f"A threshold can be picked from {FEWEST_NEIGHBORS} neighbors or more, and knn.k is {k}; "
            "raise it or pass --edges.threshold."
        )
    rows = len(similarity)
    similarity = np.ascontiguousarray(similarity[:: -(-rows // MAX_ROWS)])
    grid = np.arange(np.floor(max(pairs.median, 0.0) / GRID_STEP) * GRID_STEP, HIGHEST, GRID_STEP)
    risks = [
        _risk(similarity, _background(similarity, max(first, 1), last), grid)
        for first, last in ((k // 4, k - 1), (k // 10, 2 * k // 5))
    ]
    risk = min(risks, key=lambda curve: float(curve.min()))
    threshold, least, basis = float(grid[_least(risk)]), float(risk.min()), FAR_RANKS
    one_a_row = pairs.median + pairs.spread * float(-ndtri(1 / rows))
    standing_out = float((similarity[:, 1:] >= one_a_row).sum(axis=1).mean())
    full_lists = float((rows * pairs.tail(similarity[:, -1]) < 0.05 * (k - 1)).mean())
    even = float(np.median(similarity[:, max(1, k // 16)] - similarity[:, -1])) < EVEN_LIST * pairs.spread
    if least >= UNRESOLVED_RISK and standing_out < FEW_NEIGHBORS:
        threshold, basis = float(np.quantile(similarity[:, 1], 0.95)), "random pairs: hardly a neighbor stands out"
    elif least >= MOST_ROWS and full_lists >= MOST_ROWS and even:
        threshold, basis = min(threshold, one_a_row), "random pairs: identities fill the lists"
    facts: dict[str, Any] = {
        "basis": basis,
        "risk": least,
        "random_pair_median": pairs.median,
        "random_pair_spread": pairs.spread,
    }
    return threshold, {name: value if isinstance(value, str) else round(value, 6) for name, value in facts.items()}
