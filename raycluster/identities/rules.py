"""Decisions and deciding columns as rules for a solve.

same identity         rows become one node before the solve: a union of all must-links, never a strong link
different identities  nodes that no community may hold together (`kernels.map_equation.apart`)

exclusive columns     rows with one value are never the same identity: two faces of one photo
same columns          rows with one value are always the same identity: one article number
differ columns        rows with different values are never the same identity
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raycluster.arrays import Int32, Int64, Ints
from raycluster.errors import InputError
from raycluster.identities.conflicts import conflicts, message, sets_of
from raycluster.identities.copied import with_copies
from raycluster.identities.decisions import in_rows
from raycluster.identities.newest import newest
from raycluster.identities.ties import Columns, Ties, must_links, shared_values, united
from raycluster.kernels.map_equation.apart import Apart

ON_CONFLICT = ("stop", "newest", "drop")
LARGEST_SET = 10_000
"""Rows that must-links may tie together before a run needs `yes`. One wrong link between two
large sets makes one above it; raising it finds such links later."""
LARGEST_GROUP = 1_000
"""Rows of one exclusive value before a run needs `yes`. A default value that means
null makes larger ones; raising it finds these later."""


@dataclass(frozen=True)
class Rules:
    """What a solve of N rows must obey."""

    ties: Ties
    """Rows that are one identity."""
    apart: Apart
    """Nodes that no community may hold together."""


def compiled(
    table: pa.Table, ids: pa.Array | pa.ChunkedArray, columns: Columns, on_conflict: str = "stop", yes: bool = False
) -> tuple[Rules, Int64]:
    """Return the rules of all decisions and columns, and the decisions left out.

    Parameters
    ----------
    table : pa.Table
        Decisions (`decisions.schema`).
    ids : (N,) pa.Array
        Id of each row.
    columns : Columns
        Columns that decide.
    on_conflict : str
        What to do where a chain of must-links contradicts a rule. `stop` raises. `newest` goes through the decisions of
        the contradictory set from the newest to the oldest, columns last, and leaves out what contradicts those before.
        `drop` leaves out all decisions inside the set.
    yes : bool
        Allows sets above 10,000 rows and exclusive groups above 1,000.

    Returns
    -------
    tuple
        The rules, and the places (X,) in `table` of decisions that a conflict left out or whose rows are not there.

    Raises
    ------
    InputError
        Decisions contradict each other, or a set or a group is too large.
    """
    assert on_conflict in ON_CONFLICT
    decisions = in_rows(table, ids)
    links = must_links(decisions, columns.same)
    kept, apart = np.ones(len(links.one), bool), ~decisions.same
    rows, lowest = united(links)
    clash = conflicts(decisions, columns, rows, lowest)
    if len(clash.one) and on_conflict == "stop":
        raise InputError(message(links, clash, decisions, columns, table, ids))
    if len(clash.one):
        tied = rows[np.isin(lowest, clash.node)]
        inside = np.isin(links.one, tied)
        between = apart & np.isin(decisions.one, tied) & np.isin(decisions.other, tied)
        if on_conflict == "newest":
            kept[inside], apart[between] = newest(links, inside, decisions, between, columns)
        else:
            kept[inside], apart[between] = False, False
        rows, lowest = united(links, kept)
    require_limits(lowest, columns, ids, yes)
    if columns.copies is not None:
        rows, lowest = with_copies(links.only(kept), decisions, apart, columns)
    in_force = apart.copy()
    in_force[links.decision[kept & (links.decision >= 0)]] = True
    left_out = np.ones(table.num_rows, bool)
    left_out[decisions.place[in_force]] = False
    chosen = np.flatnonzero(apart & ~decisions.same)
    pairs = decisions.one[chosen], decisions.other[chosen]
    del decisions, links, apart, in_force, kept, chosen  # what follows is as large
    apart_from = _apart(len(ids), rows, lowest, pairs, columns)
    del pairs
    return Rules(Ties.make(rows, lowest, len(ids)), apart_from), np.flatnonzero(left_out)


def _apart(num_rows: int, rows: Int32, lowest: Int32, pairs: tuple[Int32, Int32], columns: Columns) -> Apart:
    """What the cannot-links in force, as pairs of rows, and the columns keep apart.

    `rows` and `lowest` (R,) are the tied rows, ascending, and their nodes.
    """

    def named(some: Int32) -> Int32:
        own = sets_of(rows, lowest, some)
        return np.where(own >= 0, own, some)

    member = [named(side) for side in pairs]
    count = len(pairs[0])
    group: list[Ints] = [np.arange(count, dtype=np.int32)] * 2
    for column in columns.exclusive.values():
        shared, number = shared_values(column)
        member.append(named(shared))
        group.append(number + count)
        count += int(number.max(initial=-1)) + 1
    value = _node_values(list(columns.differ.values()), rows, lowest, num_rows)
    return Apart.make(np.concatenate(member), np.concatenate(group), count, value, num_rows)


def _node_values(differ: Sequence[Int32], rows: Int32, lowest: Int32, num_rows: int) -> Int32:
    """Codes (N, D) of nodes: a node of several rows has the code that any of them has."""
    value = np.full((num_rows, len(differ)), -1, np.int32)
    for number, column in enumerate(differ):
        value[:, number] = column
        has = column[rows] >= 0
        value[lowest[has], number] = column[rows[has]]
    return value


def require_limits(lowest: Int32, columns: Columns, ids: pa.Array | pa.ChunkedArray, yes: bool) -> None:
    """Refuse very large sets and groups unless `yes`.

    Parameters
    ----------
    lowest : (R,) int32
        Lowest row of the set of each tied row (`united`).
    columns : Columns
        Exclusive columns.
    ids : (N,) pa.Array
        Id of each row.
    yes : bool
        Allows them.

    Raises
    ------
    InputError
        Names the set or the group.
    """
    if yes:
        return
    if len(lowest):
        rows, size = np.unique(lowest, return_counts=True)
        if size.max() > LARGEST_SET:
            raise InputError(
                f"Decisions and same columns make {size.max():,} rows one identity, with the id {ids[int(rows[size.argmax()])]}; "
                f"above {LARGEST_SET:,} rows that needs --yes."
            )
    for name, column in columns.exclusive.items():
        size = np.bincount(column[column >= 0], minlength=1)
        if size.max() > LARGEST_GROUP:
            first = ids[int(np.flatnonzero(column == size.argmax())[0])]
            raise InputError(
                f"The exclusive column {name} has one value in {size.max():,} rows, the first of them with the id {first}; "
                f"above {LARGEST_GROUP:,} rows that needs --yes."
            )
