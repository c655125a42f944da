"""Decisions of people about pairs of rows: the same identity, or different ones.

They name rows and not clusters, so they survive every new clustering. A table holds the decisions in force; an undone one
is no longer in it. The order of a table has no meaning: `added` sorts it, so equal decisions give equal bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Bool, Int32, Int64
from raycluster.errors import InputError
from raycluster.kernels.map_equation.apart import distinct, searched
from raycluster.storage.column_types import ids_as
from raycluster.storage.parquet_input import input_files

COLUMNS = ("id_a", "id_b", "same", "by", "at", "note")
ROWS_PER_CALL = 2**17
"""Ids compared at once, 131,072: about 3 MB of positions per call. Results do not depend on it."""


def schema(id_type: pa.DataType) -> pa.Schema:
    """Return the columns of a decisions table; `at` is when it was made, UTC."""
    return pa.schema(
        [
            pa.field("id_a", id_type, nullable=False),
            pa.field("id_b", id_type, nullable=False),
            pa.field("same", pa.bool_(), nullable=False),
            ("by", pa.string()),
            pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
            ("note", pa.string()),
        ]
    )


@dataclass(frozen=True)
class RowDecisions:
    """Decisions with row numbers in place of ids; a row number is below 2^31."""

    one: Int32
    """(M,) the lower row of each pair."""
    other: Int32
    """(M,) the higher row."""
    same: Bool
    """(M,)"""
    at: Int64
    """(M,) microseconds since 1970."""
    place: Int32
    """(M,) row of each in the decisions table."""
    num_absent: int = 0
    """Decisions about rows that are not in the set: without effect, but kept."""

    @classmethod
    def nothing(cls) -> "RowDecisions":
        """No decisions."""
        rows, empty = np.empty(0, np.int32), np.empty(0, np.int64)
        return cls(rows, rows, np.empty(0, bool), empty, rows)


def checked(table: pa.Table, id_type: pa.DataType, path: str) -> pa.Table:
    """Return a table of users with the columns of `schema`.

    `by` and `note` may be missing.

    Parameters
    ----------
    table : pa.Table
        As read from a file.
    id_type : pa.DataType
        Type of the ids of the set.
    path : str
        Name of the file, for messages.

    Raises
    ------
    InputError
        A column is missing, a value is null or of another type, or a row is decided against itself.
    """
    for name in COLUMNS:
        if name not in table.column_names and name not in ("by", "note"):
            raise InputError(f"{path} has no column {name}; decisions need the columns {', '.join(COLUMNS)}.")
        if table.column_names.count(name) > 1:
            raise InputError(f"{path} has {table.column_names.count(name)} columns named '{name}'.")
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
    for name in ("id_a", "id_b", "same", "at"):
        if table[name].null_count:
            row = int(np.flatnonzero(table[name].is_null().to_numpy())[0])
            raise InputError(f"{path}, row {row}: {name} is null.")
    for name in ("id_a", "id_b"):
        sides = ids_as(table[name], id_type, f"{path}, column '{name}'")
        table = table.set_column(table.schema.get_field_index(name), name, sides)
    try:
        table = table.select(COLUMNS).cast(schema(id_type))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"{path} does not fit the columns of decisions: {str(error).rstrip('.')}.") from error
    equal = np.flatnonzero(pc.equal(table["id_a"], table["id_b"]).to_numpy())
    if len(equal):
        raise InputError(f"{path}, row {equal[0]}: {table['id_a'][int(equal[0])]} is decided against itself.")
    return table


def read(url: str, id_type: pa.DataType) -> pa.Table:
    """Return the decisions of a Parquet file or folder, sorted.

    Raises InputError where they cannot be used.
    """
    store, names = input_files(url)
    tables = [schema(id_type).empty_table()]
    for name in names:
        with store.parquet(name) as file:
            tables.append(checked(file.read(), id_type, store.name(name)))
    return added(tables[0], pa.concat_tables(tables))


def added(table: pa.Table, more: pa.Table) -> pa.Table:
    """Return both tables as one, sorted, with the lower id first.

    Of equal decisions only the newest stays.
    """
    both = pa.concat_tables([table, more.cast(table.schema)])
    swapped = pc.greater(both["id_a"], both["id_b"])
    lower = pc.if_else(swapped, both["id_b"], both["id_a"])
    higher = pc.if_else(swapped, both["id_a"], both["id_b"])
    both = both.set_column(0, table.schema.field(0), lower).set_column(1, table.schema.field(1), higher)
    order = [("id_a", "ascending"), ("id_b", "ascending"), ("same", "ascending"), ("at", "descending")]
    both = both.sort_by([*order, ("by", "ascending"), ("note", "ascending")]).combine_chunks()
    return both.filter(pa.array(~_repeats(both))).combine_chunks()


def _repeats(table: pa.Table) -> Bool:
    """Whether each row of a sorted table decides the same as the row before."""
    result = np.arange(table.num_rows) > 0
    for name in ("id_a", "id_b", "same"):
        column = table[name].combine_chunks()
        if table.num_rows > 1:
            result[1:] &= pc.equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    return result


def differing(one: pa.Table, other: pa.Table) -> pa.Table:
    """Return the decisions that are in one of two tables alone.

    Both are as `added` returns them.
    """
    both = pa.concat_tables([one, other.cast(one.schema)])
    order: list[tuple[str, str]] = [(name, "ascending") for name in ("id_a", "id_b", "same")]
    both = both.sort_by(order).combine_chunks()
    twin = _repeats(both)
    twin[:-1] |= twin[1:]
    return both.filter(pa.array(~twin)).combine_chunks()


def undone(table: pa.Table, pairs: Iterable[tuple[object, object]]) -> pa.Table:
    """Return the table without decisions about these pairs, either way round."""
    sides = {(one, other) for pair in pairs for one, other in (pair, pair[::-1])}
    kept = [pair not in sides for pair in zip(table["id_a"].to_pylist(), table["id_b"].to_pylist(), strict=True)]
    return table.filter(pa.array(kept, pa.bool_())).combine_chunks()


def in_rows(table: pa.Table, ids: pa.Array | pa.ChunkedArray) -> RowDecisions:
    """Return the decisions with row numbers in place of ids.

    `ids` (N,) are unique. Memory grows with the decisions (about 60 bytes per decision and hashed ids), not with N.
    """
    if table.num_rows == 0:
        return RowDecisions.nothing()
    sides = _sides_of_numbers(table, ids) if pa.types.is_integer(ids.type) else _sides_of_texts(table, ids)
    one, other = sides
    same, at = table["same"].to_numpy().astype(bool), _microseconds(table["at"])
    place = np.arange(table.num_rows, dtype=np.int32)
    is_there = (one >= 0) & (other >= 0)
    if not is_there.all():
        one, other, same = one[is_there], other[is_there], same[is_there]
        at, place = at[is_there], place[is_there]
    lower = np.minimum(one, other)
    np.maximum(one, other, out=other)
    return RowDecisions(lower, other, same, at, place, num_absent=table.num_rows - len(place))


def _microseconds(times: pa.ChunkedArray) -> Int64:
    """Microseconds since 1970, without a copy where the times are in one chunk."""
    views = [chunk.view(pa.int64()).to_numpy() for chunk in times.chunks]
    return views[0] if len(views) == 1 else np.concatenate(views)


def _sides_of_numbers(table: pa.Table, ids: pa.Array | pa.ChunkedArray) -> list[Int32]:
    """Rows of both sides of each decision, -1 for absent ones; ids are integers."""
    sides = [table[name].to_numpy() for name in ("id_a", "id_b")]
    named = distinct(np.concatenate(sides))
    row = np.full(len(named), -1, np.int32)
    for start in range(0, len(ids), ROWS_PER_CALL):
        piece = ids.slice(start, ROWS_PER_CALL)
        valid = np.arange(len(piece), dtype=np.int32)
        if piece.null_count:
            valid, piece = valid[piece.is_valid().to_numpy(zero_copy_only=False)], piece.drop_null()
        own = piece.to_numpy(zero_copy_only=False)
        if len(own) == 0:
            continue
        if (own[1:] < own[:-1]).any():
            order = np.argsort(own, kind="stable")
            own, valid = own[order], valid[order]
        # Decisions are few: they are sought among the rows, and not the rows among them.
        first, last = np.searchsorted(named, own[0]), np.searchsorted(named, own[-1], "right")
        place = np.minimum(np.searchsorted(own, named[first:last]), len(own) - 1)
        has = np.flatnonzero(own[place] == named[first:last])
        row[first + has] = start + valid[place[has]]
    return [row[searched(named, side)] for side in sides]


def _sides_of_texts(table: pa.Table, ids: pa.Array | pa.ChunkedArray) -> list[Int32]:
    """The same of any type that Arrow can hash."""
    named = pa.chunked_array([*table["id_a"].chunks, *table["id_b"].chunks]).unique()
    row = np.full(len(named), -1, np.int32)
    for start in range(0, len(ids), ROWS_PER_CALL):
        place = pc.index_in(ids.slice(start, ROWS_PER_CALL), value_set=named)
        has = np.flatnonzero(place.is_valid().to_numpy(zero_copy_only=False))
        row[place.take(pa.array(has)).to_numpy()] = start + has
    return [row[pc.index_in(table[name], value_set=named).to_numpy()] for name in ("id_a", "id_b")]


def sentence(table: pa.Table, place: int) -> str:
    """Return one decision in words: `17 = 23 (ann, 2026-01-05)`."""
    row = table.slice(place, 1).to_pylist()[0]
    by = f"{row['by']}, " if row["by"] else ""
    return f"{row['id_a']} {'=' if row['same'] else '≠'} {row['id_b']} ({by}{row['at']:%Y-%m-%d})"
