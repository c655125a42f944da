"""What a set tells of itself without labels: the scale its similarities are read on, and what its neighbor lists look like.

A cosine of 0.6 is one person in one set and nothing in another. Between the cosines of random pairs and the threshold that
`limits.far_ranks` picks, both read from the set alone, it means nearly the same in every set. Where all rows share a large
component (features after a ReLU, constant dimensions, many text models) that component is taken out of every cosine first.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from raycluster.arrays import Float32, Int32, Vectors
from raycluster.limits.far_ranks import MAX_ROWS, pick_threshold, sample_pairs

RANKS = (1, 2, 3, 5, 8, 12, 20, 32, 39)
"""Ranks that a neighbor list is told by; a shorter list repeats its last."""
RETURN_RANKS = (1, 2, 4, 8, 16, 32)
LOOK = 40
"""Ranks of a neighbor's list in which the row itself is looked for."""
LENGTHS = (20, 40)
"""Neighbors judged of a row, where those that follow lie below `STRANGERS`."""
STRANGERS = 0.6
"""Of the way from random pairs to the threshold."""
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
LEAST_CONTRAST = 2.0
"""Spreads that the threshold lies above random pairs at least."""
MOST_BACKGROUND = 0.2
"""Median cosine of random pairs above which a set is uncentered, and to which it is brought. Networks know higher ones from few
sets, and merge strangers there (benchmarks/auto.md)."""
SETTING = len(QUANTILES) * len(RANKS) + len(RETURN_RANKS) + 5


@dataclass(frozen=True)
class Scale:
    """Of one set. Plain numbers, so that it travels in JSON; all but `shared` are of cosines as `read` gives them."""

    shared: float
    """Squared length of the component of unit rows that is taken to be of all rows; 0 in a centered set."""
    background: float
    """Median cosine of random pairs, at most `MOST_BACKGROUND`."""
    spread: float
    """Their spread, above 0."""
    threshold: float
    """The picked similarity threshold, at least `LEAST_CONTRAST` spreads above the background."""
    setting: tuple[float, ...]
    """`SETTING` statistics of the neighbor lists, each of order 1."""

    @classmethod
    def of(cls, neighbor: Int32, similarity: Float32, vectors: Vectors) -> "Scale":
        """Read from the neighbors (N, K) and unit vectors (N, D) of a set; deterministic, of at most 50,000 rows each."""
        pairs = sample_pairs(vectors)
        shared = max(0.0, (pairs.median - MOST_BACKGROUND) / (1 - MOST_BACKGROUND))
        if shared > 0:
            similarity = unshared(similarity, shared)
            pairs = replace(pairs, median=unshared(pairs.median, shared), spread=pairs.spread / (1 - shared))
        picked, facts = pick_threshold(similarity, pairs)
        background, spread = pairs.median, pairs.spread
        threshold = max(picked, background + LEAST_CONTRAST * spread)
        rows, contrast = len(similarity), threshold - background
        some = np.arange(0, rows, -(-rows // MAX_ROWS))
        profile = (np.asarray(similarity[some])[:, _within(similarity, RANKS)] - background) / contrast
        ids = neighbor[some]
        returned = [_returned(neighbor, some, ids[:, rank]) for rank in _within(neighbor, RETURN_RANKS)]
        setting = [
            *(np.quantile(profile, QUANTILES, axis=0) - 1).ravel(),
            4 * background, 10 * spread, 2 * contrast, contrast / spread / 5 - 1, facts["risk"], *returned,
        ]  # fmt: skip
        return cls(shared, background, spread, threshold, tuple(round(float(value), 6) for value in setting))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Scale":
        return cls(**{**values, "setting": tuple(values["setting"])})

    def read(self, cosine: Any) -> Any:
        """Cosines of any shape without the shared component."""
        return unshared(cosine, self.shared)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def unshared(cosine: Any, shared: Any) -> Any:
    """Cosines, of any shape, of what is left of unit rows that have a component of squared length `shared` in common, at right
    angles to all else: one stays one, `shared` becomes zero, and no order changes."""
    return (cosine - shared) / (1 - shared)


def lengths(similarity: Float32, scale: Scale) -> npt.NDArray[np.int64]:
    """How many neighbors (B,) of rows are worth judging, by their similarities (B, K): the least of `LENGTHS` that leaves out
    none above `STRANGERS`, else all K."""
    k = similarity.shape[1]
    floor = scale.background + STRANGERS * (scale.threshold - scale.background)
    found = np.full(len(similarity), k)
    for length in sorted((length for length in LENGTHS if length < k), reverse=True):
        found[scale.read(similarity[:, length]) < floor] = length
    return found


def _within(table: npt.NDArray[Any], ranks: tuple[int, ...]) -> list[int]:
    return [min(rank, table.shape[1] - 1) for rank in ranks]


def _returned(neighbor: Int32, rows: npt.NDArray[np.int64], of: Int32) -> float:
    """Share of `rows` that are among the first `LOOK` neighbors of their neighbor `of`, both (M,)."""
    theirs = neighbor[np.maximum(of, 0)][:, :LOOK]
    return float(((theirs == rows[:, None]).any(axis=1) & (of >= 0)).mean())


class Lists:
    """What the other rows' lists say of a row, gathered from memory-mapped tables: neighbor and similarity (N, K)."""

    def __init__(self, neighbor: Int32, similarity: Float32) -> None:
        self.neighbor, self.similarity = neighbor, similarity
        self.ranks = _within(similarity, RANKS)

    def of(self, rows: npt.NDArray[np.integer], k: int) -> tuple[Int32, Float32]:
        """For the first `k` neighbors of rows (B,): the rank (B, k) that the row has among their first k, 2 k where it is
        not there, and their own similarities (B, k, R) at `RANKS`. What an absent neighbor gets means nothing."""
        ids = np.maximum(self.neighbor[rows, :k], 0)
        found = self.neighbor[ids, :k] == rows[:, None, None]
        rank = np.where(found.any(axis=2), found.argmax(axis=2), 2 * k).astype(np.int32)
        return rank, self.similarity[ids[:, :, None], self.ranks]
