"""Rows tied together by decisions and by columns into sets of one identity.

Codes are values of a column as numbers from 0, -1 for null, which decides nothing.
"""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from raycluster.arrays import Bool, Int32, Ints
from raycluster.identities.decisions import RowDecisions
from raycluster.kernels import numba
from raycluster.kernels.components import join
from raycluster.kernels.map_equation.apart import distinct


@dataclass(frozen=True)
class Columns:
    """Codes (N,) of the columns that decide, with their names for messages."""

    exclusive: dict[str, Int32] = field(default_factory=dict)
    same: dict[str, Int32] = field(default_factory=dict)
    differ: dict[str, Int32] = field(default_factory=dict)
    copies: Int32 | None = None
    """First row of each vector that several rows have, -1 for others; none without copies."""


@dataclass(frozen=True)
class MustLinks:
    """Pairs (L,) of rows that are the same identity, and what decided each."""

    one: Int32
    other: Int32
    decision: Int32
    """Number among `RowDecisions` of what decided it, or -1 - i for the i-th same column."""

    def only(self, kept: Bool) -> "MustLinks":
        """Return some of the links."""
        return MustLinks(self.one[kept], self.other[kept], self.decision[kept])


ROWS_PER_BLOCK = 32
"""Rows per block, 32: an eighth of a byte per row of the set. Finding the node of a row reads the ties of its block."""


@dataclass(frozen=True)
class Ties:
    """The node of each row: the lowest row that is the same identity.

    Only rows that are tied take memory, so that a few decisions about many rows are cheap.
    """

    row: Int32
    """(R,) rows that share their identity with others, ascending."""
    node: Int32
    """(R,) the lowest row of the set of each."""
    first: Int32
    """(B + 1,) where the rows of each block begin in `row`."""

    @classmethod
    def make(cls, row: Int32, node: Int32, num_rows: int) -> "Ties":
        """Return the ties of `num_rows` rows.

        Parameters
        ----------
        row, node : (R,) int32
            As `united` returns them.
        num_rows : int
            Rows, tied or not.
        """
        first = np.zeros(-(-num_rows // ROWS_PER_BLOCK) + 1, np.int32)
        _count(row, first)
        return cls(row, node, np.cumsum(first, out=first))

    @property
    def is_empty(self) -> bool:
        """Whether every row is an identity of its own, as far as rules go."""
        return len(self.row) == 0

    def of(self, rows: Ints) -> Int32:
        """Return the node (S,) of each of some rows, which may be in any order."""
        result = np.asarray(rows).astype(np.int32)
        if not self.is_empty:
            _nodes(self.row, self.node, self.first, result)
        return result


@numba.njit(nogil=True, cache=True)
def _count(row, first):  # type: ignore[no-untyped-def]
    """Add the rows of each block to the number of the block after it."""
    for own in row:
        first[own // ROWS_PER_BLOCK + 1] += 1


@numba.njit(nogil=True, cache=True)
def _node_of(own, row, node, first):  # type: ignore[no-untyped-def]
    """Return the node of one row: `Ties` as columns."""
    block = own // ROWS_PER_BLOCK
    for at in range(first[block], first[block + 1]):
        if row[at] == own:
            return node[at]
    return own


@numba.njit(nogil=True, cache=True)
def _nodes(row, node, first, result):  # type: ignore[no-untyped-def]
    """Write the nodes over the rows."""
    for at in range(result.shape[0]):
        result[at] = _node_of(result[at], row, node, first)


def codes(column: pa.Array | pa.ChunkedArray) -> Int32:
    """Return values as numbers from 0 as they come, -1 for null (N,) int32."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    unified = pa.chunked_array(chunks, column.type).dictionary_encode().unify_dictionaries()
    numbers = [chunk.indices.fill_null(-1).to_numpy() for chunk in unified.chunks]
    return np.concatenate(numbers).astype(np.int32) if numbers else np.empty(0, np.int32)


def must_links(decisions: RowDecisions, same: dict[str, Int32]) -> MustLinks:
    """Return all pairs of one identity; rows with one value of a column form a chain."""
    chosen = np.flatnonzero(decisions.same)
    one, other, decision = [decisions.one[chosen]], [decisions.other[chosen]], [chosen.astype(np.int32)]
    for number, column in enumerate(same.values()):
        rows = np.flatnonzero(column >= 0).astype(np.int32)
        rows = rows[np.argsort(column[rows], kind="stable")]
        linked = np.flatnonzero(column[rows[1:]] == column[rows[:-1]])
        one.append(rows[linked])
        other.append(rows[linked + 1])
        decision.append(np.full(len(linked), -1 - number, np.int32))
    return MustLinks(np.concatenate(one), np.concatenate(other), np.concatenate(decision))


def united(links: MustLinks, kept: Bool | slice = slice(None)) -> tuple[Int32, Int32]:
    """Return the tied rows (R,), ascending, and the lowest row (R,) of their sets."""
    one, other = links.one[kept], links.other[kept]
    rows = distinct(np.concatenate([one, other]))
    lowest = np.arange(len(rows), dtype=np.int32)
    _unite(rows, one, other, lowest)
    return rows, rows[lowest]


@numba.njit(nogil=True, cache=True)
def _unite(rows, one, other, lowest):  # type: ignore[no-untyped-def]
    """Write the place of the lowest row of each set; before, each place is its own."""
    for link in range(one.shape[0]):
        join(np.searchsorted(rows, one[link]), np.searchsorted(rows, other[link]), lowest)
    # No row points to a higher one: those before are done.
    for at in range(rows.shape[0]):
        lowest[at] = lowest[lowest[at]]


def shared_values(column: Int32) -> tuple[Int32, Int32]:
    """Return the rows that share a code, by code, and its number 0.. for each."""
    size = np.bincount(column[column >= 0])
    rows = np.flatnonzero(column >= 0).astype(np.int32)
    rows = rows[size[column[rows]] > 1]
    rows = rows[np.argsort(column[rows], kind="stable")]
    number = np.cumsum(np.diff(column[rows], prepend=column[rows[:1]]) != 0)
    return rows, number.astype(np.int32)
