"""What people have decided already, so that no queue suggests the contrary."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raycluster.arrays import Bool, Int32, Ints
from raycluster.identities.decisions import in_rows
from raycluster.review.opened import Opened


@dataclass(frozen=True)
class Decided:
    """Decisions as pairs of rows."""

    one: Int32
    """(M,)"""
    other: Int32
    """(M,)"""
    same: Bool
    """(M,)"""

    @classmethod
    def of(cls, opened: Opened, table: pa.Table) -> "Decided":
        """Return the decisions of a table about rows of a run."""
        rows = in_rows(table, opened.state.ids)
        return cls(rows.one, rows.other, rows.same)

    def parts(self, group: Ints, one: Ints, other: Ints) -> Bool:
        """Return which pairs of groups (M,) a decision keeps apart.

        Parameters
        ----------
        group : (N,) integers
            Group of each row.
        one, other : (M,) integers
            Pairs of groups.
        """
        return _among(self._keys(group, ~self.same), one, other)

    def ties(self, group: Ints, one: Ints, other: Ints) -> Bool:
        """Return which pairs of groups (M,) a decision ties.

        Parameters
        ----------
        group : (N,) integers
            Group of each row.
        one, other : (M,) integers
            Pairs of groups.
        """
        return _among(self._keys(group, self.same), one, other)

    def _keys(self, group: Ints, chosen: Bool) -> Ints:
        return _key(group[self.one[chosen]], group[self.other[chosen]])


def _key(one: Ints, other: Ints) -> Ints:
    low, high = np.minimum(one, other).astype(np.int64), np.maximum(one, other).astype(np.int64)
    return low << 32 | high


def _among(keys: Ints, one: Ints, other: Ints) -> Bool:
    return np.isin(_key(one, other), keys)
