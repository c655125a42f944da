"""What neighbor lists hold between two groups of rows.

Shapes: N rows, G groups, P pairs of rows, B pairs of groups.
"""

from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Float64, Int32, Int64, Ints
from raycluster.review.pairs import Pairs

BEST = 5
"""Pairs whose mean is read, the strongest of two groups. One may be chance, and all of them fall with the size of groups."""


@dataclass(frozen=True)
class Between:
    """Pairs of groups that a pair of rows joins, the lower first, sorted."""

    one: Int64
    """(B,)"""
    other: Int64
    """(B,)"""
    best: Float64
    """(B,) mean value of the best pairs of rows, at most `BEST`; a pair that is not listed counts 0."""
    num_pairs: Int64
    """(B,) pairs of rows."""
    num_mutual: Int64
    """(B,) those of them that both rows list."""
    row_one: Int32
    """(B,) row of the best pair, in the lower group."""
    row_other: Int32
    """(B,) row of the best pair, in the higher group."""

    @classmethod
    def of(cls, pairs: Pairs, group: Ints, size: Ints) -> "Between":
        """Return what lies between all groups.

        Parameters
        ----------
        pairs : Pairs
            Pairs of rows; those within a group are left out.
        group : (N,) integers
            Group of each row, below 0 for rows of no group.
        size : (G,) integers
            Rows of each group.
        """
        first, second = group[pairs.one].astype(np.int64), group[pairs.other].astype(np.int64)
        at = np.flatnonzero((first != second) & (first >= 0) & (second >= 0))
        is_swapped = first[at] > second[at]
        low = np.where(is_swapped, second[at], first[at])
        high = np.where(is_swapped, first[at], second[at])
        row_low = np.where(is_swapped, pairs.other[at], pairs.one[at])
        row_high = np.where(is_swapped, pairs.one[at], pairs.other[at])
        value = pairs.value[at].astype(np.float64)
        # Strongest first within a pair of groups, ties to the lowest rows.
        order = np.lexsort((row_high, row_low, -value, high, low))
        low, high, value = low[order], high[order], value[order]
        begin = np.flatnonzero((np.diff(low, prepend=-1) != 0) | (np.diff(high, prepend=-1) != 0))
        count = np.diff(begin, append=len(low))
        rank = np.arange(len(low)) - np.repeat(begin, count)
        total = _sums(np.where(rank < BEST, value, 0.0), begin)
        most = np.minimum(size[low[begin]].astype(np.int64) * size[high[begin]], BEST)
        mutual = _sums(pairs.is_mutual[at][order].astype(np.float64), begin).astype(np.int64)
        first_row = order[begin]
        return cls(
            low[begin], high[begin], total / most, count, mutual, row_low[first_row], row_high[first_row]
        )  # fmt: skip

    def best_of(self, one: Ints, other: Ints) -> Float64:
        """Return `best` (M,) of pairs of groups; 0 where no pair of rows joins them."""
        low, high = np.minimum(one, other).astype(np.int64), np.maximum(one, other).astype(np.int64)
        if len(self.one) == 0:
            return np.zeros(len(low))
        key = self.one << 32 | self.other
        at = np.minimum(np.searchsorted(key, low << 32 | high), len(key) - 1)
        return np.where(key[at] == (low << 32 | high), self.best[at], 0.0)


def _sums(values: Float64, begin: Int64) -> Float64:
    """Sum of each run of values that starts at `begin`."""
    return np.asarray(np.add.reduceat(values, begin)) if len(begin) else np.empty(0)
