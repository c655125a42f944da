"""Pairs of rows that neighbor lists name, with one value per pair.

Shapes: N rows, K neighbors per row with the row itself at rank 0, P pairs.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from raycluster.arrays import Bool, Float32, Float64, Floats, Int32
from raycluster.identities.state import State
from raycluster.limits.in_force import EdgeLimits

NEAREST = 1e-3
"""Least distance of a score from 0 and 1 before its log odds are taken, which so stay within 6.9 of 0."""
SPREAD = 0.1
"""Similarity that counts as much as one unit of log odds, where a run has similarities and no scores. It is the standard
deviation of the cosine of strangers in 100 dimensions, near that of face embeddings."""


@dataclass(frozen=True)
class Pairs:
    """All pairs that a list names, the lower row first, sorted."""

    one: Int32
    """(P,)"""
    other: Int32
    """(P,)"""
    value: Float32
    """(P,) mean over both directions, 0 for one that is not listed: a score, or a similarity where there are no scores."""
    is_mutual: Bool
    """(P,) whether both rows list each other."""

    @classmethod
    def of(cls, state: State) -> "Pairs":
        """Return the pairs of a state.

        A copy has the pairs of its first row, and one with it.
        """
        value = values_of(state)
        row, rank = np.nonzero((state.lists.neighbor[:, 1:] >= 0) & (value[:, 1:] > 0))
        other, value = state.lists.neighbor[row, rank + 1], value[row, rank + 1]
        pairs = cls.from_directed(row.astype(np.int32), other, value)
        copy = np.flatnonzero(state.is_alive & (state.original != np.arange(state.num_rows)))
        return pairs if len(copy) == 0 else pairs.with_copies(copy.astype(np.int32), state.original[copy])

    @classmethod
    def from_directed(cls, row: Int32, neighbor: Int32, value: Floats) -> "Pairs":
        """Return the pairs of directed entries.

        Parameters
        ----------
        row, neighbor : (M,) int32
            No pair of them occurs twice in one direction.
        value : (M,)
            Above 0.
        """
        low, high = np.minimum(row, neighbor).astype(np.int64), np.maximum(row, neighbor)
        # Both directions of a pair are neighbors after sorting by pair, then direction: sums do not depend on the order.
        order = np.lexsort((row, high, low))
        key = low[order] << 32 | high[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        total = np.add.reduceat(value[order].astype(np.float64), first) if len(first) else np.empty(0)
        count = np.diff(first, append=len(key))
        one, other = (key[first] >> 32).astype(np.int32), (key[first] & 0xFFFFFFFF).astype(np.int32)
        return cls(one, other, (total / 2).astype(np.float32), count > 1)

    def with_copies(self, copy: Int32, original: Int32) -> "Pairs":
        """Return these pairs and those of copies.

        Parameters
        ----------
        copy, original : (C,) int32
            Rows without pairs, and the first row with the same vector of each.
        """
        row, neighbor, value = self.at_both_ends()
        begin, end = np.searchsorted(row, original), np.searchsorted(row, original, side="right")
        at = np.repeat(begin - np.concatenate([[0], np.cumsum(end - begin)[:-1]]), end - begin)
        at = at + np.arange(len(at))
        one = np.concatenate([self.one, np.repeat(copy, end - begin), copy])
        other = np.concatenate([self.other, neighbor[at], original])
        values = np.concatenate([self.value, value[at], np.ones(len(copy), np.float32)])
        mutual = np.concatenate([self.is_mutual, np.ones(len(at) + len(copy), bool)])
        low, high = np.minimum(one, other), np.maximum(one, other)
        order = np.lexsort((high, low))
        return Pairs(low[order], high[order], values[order], mutual[order])

    def at_both_ends(self) -> tuple[Int32, Int32, Float32]:
        """Return row, neighbor and value (2 P,) of every pair from both ends, sorted."""
        row, neighbor = np.concatenate([self.one, self.other]), np.concatenate([self.other, self.one])
        order = np.lexsort((neighbor, row))
        return row[order], neighbor[order], np.concatenate([self.value, self.value])[order]

    def only(self, kept: Bool) -> "Pairs":
        """Return some of the pairs."""
        return Pairs(self.one[kept], self.other[kept], self.value[kept], self.is_mutual[kept])


def values_of(state: State) -> Float32:
    """Return the values (N, K) that decide about pairs.

    These are scores, or similarities where there are none or they were set aside.
    """
    has_scores = state.lists.score is not None and state.limits.threshold is None
    return state.lists.score if has_scores and state.lists.score is not None else state.lists.similarity


def beyond_limit(value: Floats, limits: EdgeLimits) -> Float64:
    """Return how far values lie above the limit of edges, in units of log odds.

    Scores count by their log odds, similarities by their distance over `SPREAD`. At the limit it is 0.
    """
    wide = np.asarray(value, np.float64)
    if limits.eta is not None and limits.threshold is None:
        return np.asarray(logit(np.clip(wide, NEAREST, 1 - NEAREST)) - logit(np.clip(limits.eta, NEAREST, 1 - NEAREST)))
    return np.asarray((wide - limits.swept_value) / SPREAD)
