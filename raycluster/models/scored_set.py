"""What a predictor reads of a set, in one record.

Shapes: N rows of the set, K neighbors per row with the row itself at rank 0, D width of the vectors.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from raycluster.arrays import Float32, Int32, Ints, Vectors
from raycluster.models.ranked_columns import RankedColumns
from raycluster.models.set_statistics import SetStatistics

Background = tuple[float, float]
"""Median and spread of the cosines of a set's random pairs."""


@dataclass(frozen=True)
class ScoredSet:
    """The tables and the facts of a set whose neighbors are scored."""

    neighbor: Int32
    """int32 (N, K), -1 where a list is short."""
    similarity: Float32 | RankedColumns
    """float32 (N, K), of the neighbors, or its columns at `ranks_read`. Only the form relative reads it."""
    vectors: Vectors
    """float32 or float16 (N, D), of unit length."""
    facts: dict[str, Any]
    """`set_statistics.measure` of the whole set."""
    topk: Ints | None = None
    """(N,) in 1..K, for networks with a mask."""
    contexts: Vectors | None = None
    """(N, width) of a `ContextEncoder`, for the forms `linkage` and `distance` where they encode."""

    @cached_property
    def statistics(self) -> SetStatistics:
        """The scale of the set, for the form relative."""
        return SetStatistics.from_json(self.facts["statistics"])

    @property
    def background(self) -> Background:
        """The random pairs of the set, for networks that read vectors."""
        median, spread = self.facts["background"]
        return median, spread
