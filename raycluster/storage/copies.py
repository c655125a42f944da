"""Copies of rows, and the numbering of the distinct rows without them.

Stages between `duplicates` and `labels` number distinct rows: the first row of every group of copies. Ids, shards of the input
and labels number all rows.

Shapes: N rows, M distinct rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Array, Int32, Int64, Ints


@dataclass(frozen=True)
class Copies:
    """Which rows are copies of which."""

    first: Int64
    """(M,) the distinct rows among all rows, ascending."""
    distinct: Int32
    """(N,) the distinct row of every row."""

    @classmethod
    def of(cls, rows: int, copy: Ints, original: Ints) -> "Copies":
        """Return the numbering of N rows.

        Parameters
        ----------
        rows
            N.
        copy, original
            Rows (C,) that are copies, and the lowest row that each is a copy of.
        """
        lowest = np.arange(rows)
        lowest[copy] = original
        is_first = lowest == np.arange(rows)
        number = np.cumsum(is_first, dtype=np.int32) - np.int32(1)
        return cls(np.flatnonzero(is_first), number[lowest])

    def bounds(self, bounds: Sequence[int]) -> list[int]:
        """Return the first distinct row of every shard, and M.

        Shards without one are left out.
        """
        return [int(bound) for bound in np.unique(np.searchsorted(self.first, bounds))]

    def for_all(self, values: Array) -> Array:
        """Return the value (N, ...) of every row from those of the distinct rows (M, ...)."""
        result: Array = values[self.distinct]
        return result

    @property
    def weights(self) -> Int64:
        """How many rows each distinct row stands for (M,)."""
        return np.bincount(self.distinct, minlength=len(self.first))
