"""Vectors of the user's files, however they are stored.

They are lists, tensors, bytes of float32, text, or many columns.

Shapes: R rows of a batch, D dimensions.
"""

import fnmatch
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Array, Bool
from raycluster.errors import InputError
from raycluster.storage.column_types import is_bytes, is_text, require_columns, storage_type

LARGEST_COORDINATE = 1e30
"""Coordinates beyond this are no embedding: bytes of another type than float32 read as such numbers."""


@dataclass(frozen=True)
class VectorSource:
    """Where a file has its vectors, and how they are stored."""

    columns: list[str]
    """Columns to read, as Parquet names them: `a.b` is field b of struct a."""
    kind: Literal["list", "bytes", "text", "columns", "nothing"]
    where: str
    """File and column, for messages."""

    @classmethod
    def of(cls, schema: pa.Schema, column: str, name: str) -> "VectorSource":
        """Find the vectors of a file.

        `column` may be a pattern of many numeric columns, or `struct.field`.


        Raises InputError where the column is missing or holds no vectors.

        Parameters
        ----------
        schema
            Of the file.
        column
            Name, pattern or `struct.field`.
        name
            Of the file, for messages.
        """
        where = f"{name}, column '{column}'"
        if column not in schema.names and any(mark in column for mark in "*?["):
            return cls(_numeric_columns(schema, column, where), "columns", where)
        outer, _, inner = column.partition(".")
        if column not in schema.names and inner and outer in schema.names:
            kind = storage_type(schema.field(outer).type)
            if not (pa.types.is_struct(kind) and kind.get_field_index(inner) >= 0):
                raise InputError(f"{name}, column '{outer}' is {kind}; it has no field '{inner}'.")
            return cls([column], _stored_as(storage_type(kind.field(inner).type), where), where)
        if column not in schema.names and (pattern := _likely_pattern(schema)):
            raise InputError(
                f"{name} has no column '{column}'; --embedding-column '{pattern}' reads its numbered columns as one vector."
            )
        require_columns(schema, [column], name)
        return cls([column], _stored_as(storage_type(schema.field(column).type), where), where)

    def lists(self, batch: pa.RecordBatch) -> pa.Array:
        """Return a batch's vectors as a list column."""
        if self.kind == "columns":
            return _stacked([batch.column(name) for name in self.columns])
        column = batch.column(
            self.columns[0].partition(".")[0] if self.columns[0] not in batch.schema.names else self.columns[0]
        )
        if self.columns[0] not in batch.schema.names:
            column = pc.struct_field(column, self.columns[0].partition(".")[2])
        column = _plain(column)
        if self.kind == "bytes":
            return _from_bytes(column, self.where)
        if self.kind == "text":
            return _from_text(column, self.where)
        return column


def _numeric_columns(schema: pa.Schema, pattern: str, where: str) -> list[str]:
    """Return the numeric columns that a pattern names, e2 before e10."""
    names = [
        field.name
        for field in schema
        if fnmatch.fnmatchcase(field.name, pattern)
        and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
    ]
    if not names:
        raise InputError(f"{where} names no numeric column; there are {', '.join(schema.names)}.")
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])


def _likely_pattern(schema: pa.Schema) -> str | None:
    """Return a pattern of numbered columns, such as f0, f1, ...

    It is none where there are no two of one name.
    """
    stems = Counter(
        field.name.rstrip("0123456789")
        for field in schema
        if field.name[-1:].isdigit() and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
    )
    stem, count = stems.most_common(1)[0] if stems else ("", 0)
    return f"{stem}*" if count > 1 and stem else None


def _stored_as(kind: pa.DataType, where: str) -> Literal["list", "bytes", "text", "nothing"]:
    """Return how a column stores vectors. Raises InputError where it holds none."""
    if pa.types.is_null(kind):
        return "nothing"
    if is_bytes(kind):
        return "bytes"
    if is_text(kind):
        return "text"
    if is_list(kind) and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        return "list"
    raise InputError(
        f"{where} is {kind}; embeddings are lists of floats, bytes of float32, text, or many columns named by a pattern "
        "such as --embedding-column 'dim_*'."
    )


def is_list(kind: pa.DataType) -> bool:
    """Whether values are lists."""
    checks = (pa.types.is_fixed_size_list, pa.types.is_list, pa.types.is_large_list)
    return any(check(kind) for check in checks)


def _plain(column: pa.Array) -> pa.Array:
    """Return a column without extension and dictionary encoding."""
    if isinstance(column.type, pa.BaseExtensionType):
        return _plain(column.storage)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _stacked(columns: list[pa.Array]) -> pa.Array:
    """Return many numeric columns as one list column.

    A row with a null in any is null.
    """
    matrix = np.stack([np.asarray(column.cast(pa.float64()).fill_null(np.nan)) for column in columns], axis=1)
    null = np.any([np.asarray(column.is_null()) for column in columns], axis=0)
    offsets = pa.array(np.arange(len(matrix) + 1, dtype=np.int64) * len(columns))
    return pa.LargeListArray.from_arrays(offsets, pa.array(matrix.ravel()), mask=pa.array(null))


def _lists(rows: list[Any]) -> pa.Array:
    return pa.array(rows, pa.large_list(pa.float64()))


def _from_bytes(column: pa.Array, where: str) -> pa.Array:
    """Return vectors stored as little-endian float32 bytes.

    Raises InputError for bytes that hold something else.
    """
    rows = column.to_pylist()
    vectors = []
    for row in rows:
        if row is not None and len(row) % 4:
            raise InputError(f"{where} holds {len(row)} bytes, which are no float32 numbers; write vectors as lists.")
        vectors.append(None if row is None else np.frombuffer(row, "<f4"))
    present = [vector for vector in vectors if vector is not None and len(vector)]
    values = np.concatenate(present) if present else np.empty(0, np.float32)
    with np.errstate(invalid="ignore"):
        if np.count_nonzero(np.abs(values) > LARGEST_COORDINATE) > len(values) // 100:
            raise InputError(
                f"{where} holds bytes that are no float32 numbers, but maybe float64; write vectors as lists."
            )
    return _lists(vectors)


def _from_text(column: pa.Array, where: str) -> pa.Array:
    """Return vectors stored as text, such as [0.1, 0.2] or 0.1 0.2.

    Raises InputError for text that is none.
    """
    vectors: list[Any] = []
    for row in column.to_pylist():
        if row is None:
            vectors.append(None)
            continue
        try:
            vectors.append([float(word) for word in row.strip().strip("[](){}").replace(",", " ").split()])
        except ValueError:
            raise InputError(f"{where} holds the text {row[:40]!r}, which is no vector of numbers.") from None
    return _lists(vectors)


def read_vectors(column: pa.Array, width: int, where: str, first_row: int) -> tuple[Array, Any]:
    """Return a batch's list column as (R, width) floats, and which rows are null.

    Raises InputError, naming the row, for a vector of another length.

    Parameters
    ----------
    column
        Lists of numbers, R of them.
    width
        Numbers that every list must have.
    where
        File and column, for messages.
    first_row
        Number of the batch's first row in its file, for messages.
    """
    null = np.asarray(pc.is_null(column))
    if pa.types.is_null(column.type):
        return np.zeros((len(column), width), np.float32), null
    length = column.type.list_size if pa.types.is_fixed_size_list(column.type) else None
    lengths = np.full(len(column), length) if length else pc.fill_null(pc.list_value_length(column), width).to_numpy()
    wrong = np.flatnonzero((lengths != width) & ~null)
    if len(wrong):
        found = int(lengths[wrong[0]])
        size = "zero length" if found == 0 else f"length {found}"
        raise InputError(f"{where}, row {first_row + wrong[0]}: the vector has {size}, the first one has {width}.")
    small = column.type.value_type in (pa.float32(), pa.float16())
    values = np.zeros((len(column), width), np.float32 if small else np.float64)
    flat = pc.list_flatten(column)
    missing = np.asarray(pc.is_null(flat)).reshape(-1, width) if flat.null_count else None
    values[~null] = np.asarray(flat.fill_null(0).cast(pa.from_numpy_dtype(values.dtype), safe=False)).reshape(-1, width)
    if missing is not None:
        null[np.flatnonzero(~null)[missing.any(axis=1)]] = True
    return values, null


def vectors_of_table(table: pa.Table, column: str, name: str) -> tuple[Array, Bool]:
    """Return the vectors (N, D) of a table, and which are missing or hold a null.

    Parameters
    ----------
    table
        N rows.
    column
        Name, pattern or `struct.field`.
    name
        Of the table, for messages.

    Raises
    ------
    InputError
        Where the column is missing or holds no vectors, or vectors of two lengths.
    """
    vectors = VectorSource.of(table.schema, column, name)
    lists = [vectors.lists(batch) for batch in table.combine_chunks().to_batches()]
    width = _first_width(lists)
    if width is None:
        raise InputError(f"{name}, column '{vectors.columns[0]}' holds no vector.")
    parts = [read_vectors(values, width, vectors.where, 0) for values in lists]
    return np.concatenate([values for values, _ in parts]), np.concatenate(
        [np.asarray(null, bool) for _, null in parts]
    )


def _first_width(lists: list[pa.Array]) -> int | None:
    """Return the length of the first vector; None where there is none."""
    for values in lists:
        if pa.types.is_fixed_size_list(values.type):
            return int(values.type.list_size)
        valid = pc.drop_null(pc.list_value_length(values))
        if len(valid):
            return int(valid[0].as_py())
    return None
