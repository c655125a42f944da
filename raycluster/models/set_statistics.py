"""Statistics of one set: the scale of its similarities, the shape of its lists.

A cosine of 0.6 is one person in one set and nothing in another. It means nearly the same in every set when it is placed
between the cosines of random pairs and the threshold that `limits.far_ranks` picks. Both are read from the set, without labels.
In some sets all rows share a large component (features after a ReLU, constant dimensions, many text models). It is taken out of
every cosine first.

Shapes: N rows of the set, K neighbors per row with the row itself at rank 0, B some rows, D width of the vectors.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np

from raycluster.arrays import Float32, Int32, Int64, Vectors
from raycluster.limits.cohesion import Lists
from raycluster.limits.far_ranks import MAX_ROWS, pick_threshold
from raycluster.limits.measured_vectors import MeasuredVectors
from raycluster.limits.random_pairs import sample_pairs
from raycluster.limits.without_valley import Picked
from raycluster.models.ranked_columns import RankedColumns

# The shipped model's weights were trained on these numbers: none can change without training it again.
RANKS = (1, 2, 3, 5, 8, 12, 20, 32, 39)
"""Ranks at which a neighbor list is sampled, denser where similarity falls fastest; a shorter list repeats its last."""
RETURN_RANKS = (1, 2, 4, 8, 16, 32)
"""Ranks of neighbors that are checked for listing the row in return: how mutual a set's lists are."""
RETURN_DEPTH = 40
"""Ranks of a neighbor's list in which the row itself is searched."""
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Quantiles over rows of the similarity at each of `RANKS`: small and large identities differ in them."""
SETTING = len(QUANTILES) * len(RANKS) + len(RETURN_RANKS) + 5
"""Length of `SetStatistics.setting`: those quantiles, the return shares, and five numbers of the scale itself."""
RISK = len(QUANTILES) * len(RANKS) + 4
"""Place of the threshold's risk in `SetStatistics.setting`."""
LENGTHS = (10, 14, 20, 28, 40, 56)
"""Neighbors of a row that are scored where all that follow are strangers. Shorter lists are scored faster: with these a row of
LFW has 23 neighbors on the mean, with 20 and 40 alone 31. BCubed F of five sets moves by 0.05 at most."""
STRANGERS = 0.6
"""Similarity below which a neighbor is a stranger, as a share of the way from random pairs to the threshold. Raising it leaves
out more neighbors, and scores faster. A neighbor that is left out becomes no edge of its row."""
LEAST_CONTRAST = 2.0
"""Least distance of the threshold from random pairs, in spreads of their cosines: the scale needs a length above 0."""
MOST_BACKGROUND = 0.2
"""Median cosine of random pairs above which a set counts as uncentered, and to which it is brought. Networks saw few sets with
higher ones in training, and merge strangers there (docs/log-auto.md)."""

MOST_SHARED = 0.999
"""Most of a unit row that counts as shared. Rows of width 1, or mostly one vector, share all of it, and nothing would be left
to compare. No set with a median cosine of random pairs below 0.9992 changes by it."""


@dataclass(frozen=True)
class SetStatistics:
    """Statistics of one set: plain numbers, so that they travel in JSON.

    All but `shared` are of cosines without the shared component, as `without_shared` returns them.
    """

    shared: float
    """Squared length of the component that all unit rows have in common; 0 in a centered set."""
    background: float
    """Median cosine of random pairs, at most `MOST_BACKGROUND`."""
    spread: float
    """Spread of those cosines, as of a normal distribution, from their lower half; above 0."""
    threshold: float
    """Picked similarity threshold, at least `LEAST_CONTRAST` spreads above the background."""
    setting: tuple[float, ...]
    """`SETTING` statistics of the neighbor lists, each of order 1."""

    @classmethod
    def measure(cls, neighbor: Int32, similarity: Float32, vectors: Vectors) -> "SetStatistics":
        """Return the statistics of a set; deterministic, from at most 50,000 rows.

        Parameters
        ----------
        neighbor
            int32 (N, K), -1 where a list is short.
        similarity
            float32 (N, K), of the neighbors.
        vectors
            float32 or float16 (N, D), of unit length.

        Returns
        -------
        SetStatistics
            Of the whole set.
        """
        return cls.measure_and_pick(neighbor, similarity, vectors)[0]

    @classmethod
    def measure_and_pick(cls, neighbor: Int32, similarity: Float32, vectors: Vectors) -> tuple["SetStatistics", Picked]:
        """Return `measure`, and the threshold that it picks, without the shared component.

        Parameters
        ----------
        neighbor, similarity, vectors
            As in `measure`.
        """
        pairs = sample_pairs(vectors)
        rows = np.arange(0, len(similarity), -(-len(similarity) // MAX_ROWS))
        sample = np.asarray(similarity[rows])
        shared = min(max(0.0, (pairs.median - MOST_BACKGROUND) / (1 - MOST_BACKGROUND)), MOST_SHARED)
        if shared > 0:
            sample = unshared(sample, shared)
            pairs = replace(pairs, median=unshared(pairs.median, shared), spread=pairs.spread / (1 - shared))
        picked, facts = pick_threshold(sample, pairs, Lists(neighbor, vectors, shared), len(similarity))
        background, spread = pairs.median, pairs.spread
        threshold = max(picked, background + LEAST_CONTRAST * spread)
        contrast = threshold - background
        # factors and offsets bring each number to order 1
        scale = (4 * background, 10 * spread, 2 * contrast, contrast / spread / 5 - 1, facts["risk"])
        profile = (sample[:, ranks_within(sample, RANKS)] - background) / contrast
        setting = [*(np.quantile(profile, QUANTILES, axis=0) - 1).ravel(), *scale, *_return_shares(neighbor, rows)]
        # rounded, so that the last bits of a platform's quantiles change no score
        numbers = tuple(round(float(value), 6) for value in setting)
        return cls(shared, background, spread, threshold, numbers), (picked, facts)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "SetStatistics":
        """Return the statistics that `to_json` made `values` of."""
        return cls(**{**values, "setting": tuple(values["setting"])})

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as plain numbers by name."""
        return asdict(self)

    @property
    def risk(self) -> float:
        """Share of rows that the threshold gets wrong (`limits.far_ranks`)."""
        return self.setting[RISK]

    @property
    def stranger(self) -> float:
        """Cosine below which a neighbor is a stranger (`STRANGERS`).

        The shared component is included.
        """
        return self._with_shared(self.background + STRANGERS * (self.threshold - self.background))

    @property
    def limit(self) -> float:
        """Cosine of the threshold, the shared component included."""
        return self._with_shared(self.threshold)

    def _with_shared(self, cosine: float) -> float:
        return cosine * (1 - self.shared) + self.shared

    def on_scale(self, cosine: Any) -> Any:
        """Return cosines of any shape on the scale of the set.

        Random pairs have 0 and the threshold has 1.
        """
        return (self.without_shared(cosine) - self.background) / (self.threshold - self.background)

    def without_shared(self, cosine: Any) -> Any:
        """Return cosines of any shape without the shared component."""
        return unshared(cosine, self.shared)


def measure(form: str, neighbor: Int32, similarity: Float32, vectors: Vectors) -> dict[str, Any]:
    """Return what a predictor reads of the whole set, ready for JSON.

    Parameters
    ----------
    form
        Form of the predictor, `card.training.predictor.form`.
    neighbor
        int32 (N, K), -1 where a list is short.
    similarity
        float32 (N, K), of the neighbors.
    vectors
        float32 or float16 (N, D), of unit length.

    Returns
    -------
    dict
        `background`, median and spread of the cosines of random pairs. For the form relative `statistics` as well, and in
        a centered set `picked`, the threshold of its similarities and how it was picked.
    """
    pairs = sample_pairs(vectors)
    measured: dict[str, Any] = {"background": [pairs.median, pairs.spread]}
    if form == "relative":
        vectors = cast("Vectors", MeasuredVectors(vectors, lambda: pairs))  # pairs are drawn once
        statistics, picked = SetStatistics.measure_and_pick(neighbor, similarity, vectors)
        measured["statistics"] = statistics.to_json()
        if statistics.shared == 0:
            measured["picked"] = list(picked)
    return measured


def similarity_limit(set_facts: Mapping[str, Any]) -> float | None:
    """Return the limit of similarity in what `measure` returned.

    None for forms that read no similarities.
    """
    statistics = set_facts.get("statistics")
    return None if statistics is None else SetStatistics.from_json(statistics).limit


def unshared(cosine: Any, shared: Any) -> Any:
    """Return cosines of what is left of unit rows without their common component.

    Parameters
    ----------
    cosine
        Any shape, array or tensor.
    shared
        Squared length of the component, at right angles to all else. A cosine of 1 stays 1, one of `shared` becomes 0,
        and no order changes.

    Returns
    -------
    Any
        Of the type and shape of `cosine`.
    """
    return (cosine - shared) / (1 - shared)


def lengths(similarity: Float32 | RankedColumns, statistics: SetStatistics) -> Int64:
    """Return how many neighbors (B,) of rows are worth scoring.

    The least of `LENGTHS` beyond which no neighbor lies above `STRANGERS`, else all K.

    Parameters
    ----------
    similarity
        float32 (B, K), descending in every row.
    statistics
        Those of the whole set.

    Returns
    -------
    int64 (B,)
        In 1..K.
    """
    k = similarity.shape[1]
    lowest = statistics.background + STRANGERS * (statistics.threshold - statistics.background)
    length = np.full(len(similarity), k)
    for shorter in sorted((shorter for shorter in LENGTHS if shorter < k), reverse=True):
        length[statistics.without_shared(similarity[:, shorter]) < lowest] = shorter
    return length


def ranks_within(table: Any, ranks: tuple[int, ...]) -> list[int]:
    """Return `ranks`, each at most the last column of a table (N, K)."""
    return [min(rank, table.shape[1] - 1) for rank in ranks]


def ranks_read(k: int) -> list[int]:
    """Return the ranks, of K, at which the form relative reads similarities."""
    return sorted({min(rank, k - 1) for rank in RANKS} | {rank for rank in LENGTHS if rank < k})


def _return_shares(neighbor: Int32, rows: Int64) -> list[float]:
    """Return, per rank of `RETURN_RANKS`, the share of rows listed in return.

    That is the share of `rows` (B,) which stand in the list of their neighbor at that rank.
    """
    shares = []
    for rank in ranks_within(neighbor, RETURN_RANKS):
        ids = neighbor[rows, rank]
        listed = neighbor[np.maximum(ids, 0)][:, :RETURN_DEPTH]
        shares.append(float(((listed == rows[:, None]).any(axis=1) & (ids >= 0)).mean()))
    return shares
