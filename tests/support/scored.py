"""Rows for predictors of the form relative, with neighbors and statistics."""

from dataclasses import replace
from typing import Any

import numpy as np

from raycluster.kernels.search.nearest import exact_top_k
from raycluster.models.scored_set import ScoredSet
from raycluster.models.set_statistics import SetStatistics
from support.data import identities, rows_of


class Rows:
    """Rows of identities, near enough to random pairs that lists have several lengths."""

    def __init__(self, k: int, offset: float = 0.0, width: int = 24) -> None:
        vectors, _ = identities(90, 4, width=width)
        vectors = vectors + offset
        self.vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        self.neighbor, self.similarity = exact_top_k(self.vectors, rows_of(self.vectors), self.vectors, k)
        self.facts = {"statistics": SetStatistics.measure(self.neighbor, self.similarity, self.vectors).to_json()}

    def cut(self, seed: int) -> None:
        """Let lists end early, as a search by lists leaves them."""
        count = np.random.default_rng(seed).integers(1, self.neighbor.shape[1] + 1, len(self.neighbor))
        behind = np.arange(self.neighbor.shape[1]) >= count[:, None]
        self.neighbor[behind], self.similarity[behind] = -1, -1

    def scored_set(self, **changes: Any) -> ScoredSet:
        """The rows as a set to score, some of its tables replaced by others."""
        return replace(ScoredSet(self.neighbor, self.similarity, self.vectors, self.facts), **changes)
