"""Vectors of the user's files, however they are stored.

They are lists, tensors, bytes of float32, text, or many columns.

Shapes: R rows of a batch, D dimensions.
"""

import fnmatch
import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Array, Bool
from raycluster.errors import InputError
from raycluster.storage.column_types import is_bytes, is_text, require_columns, storage_type
from raycluster.storage.vector_forms import (
    first_of,
    first_width,
    from_bytes,
    from_sparse,
    from_text,
    is_list,
    is_number,
    plain_lists,
    read_vectors,
    stacked,
)

Form = Literal["list", "nested", "sparse", "bytes", "text", "columns", "nothing"]


@dataclass(frozen=True)
class VectorSource:
    """Where a file has its vectors, and how they are stored."""

    columns: list[str]
    """Columns to read, as Parquet names them: `a.b` is field b of struct a."""
    kind: Form
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
            kind = _field_of(schema.field(outer).type, inner.split("."), f"{name}, column '{outer}'")
            if is_sparse(storage_type(schema.field(outer).type)):
                return cls([outer], "sparse", where)
            return cls([column], _stored_as(kind, where), where)
        if column not in schema.names and (pattern := _likely_pattern(schema)):
            raise InputError(
                f"{name} has no column '{column}'; --embedding-column '{pattern}' reads its numbered columns as one vector."
            )
        if column not in schema.names and (other := _likely_column(schema, column)):
            raise InputError(f"{name} has no column '{column}'; --embedding-column '{other}' reads its vectors.")
        require_columns(schema, [column], name)
        return cls([column], _stored_as(storage_type(schema.field(column).type), where), where)

    def lists(self, batch: pa.RecordBatch, first_row: int = 0) -> pa.Array:
        """Return a batch's vectors as a list column.

        `first_row` is the number of its first row in its file, for messages.
        """
        if self.kind == "columns":
            return stacked([batch.column(name) for name in self.columns])
        name = self.columns[0]
        outer, *inner = [name] if name in batch.schema.names else name.split(".")
        column = batch.column(outer)
        column = plain_lists(pc.struct_field(column, inner) if inner else column)
        decode = {"bytes": from_bytes, "text": from_text, "nested": first_of, "sparse": from_sparse}.get(self.kind)
        return column if decode is None else decode(column, self.where, first_row)


def _likely_column(schema: pa.Schema, column: str) -> str | None:
    """Return the column that is meant by another name, or none.

    It has the same name in capital or small letters, or alone holds lists of numbers.
    """
    same = [name for name in schema.names if name.lower() == column.lower()]
    kinds = {field.name: storage_type(field.type) for field in schema}
    lists = [name for name, kind in kinds.items() if is_list(kind) and is_number(kind.value_type)]
    likely = same or lists
    return likely[0] if len(likely) == 1 else None


def is_sparse(kind: pa.DataType) -> bool:
    """Whether a type is that of Spark's vectors, which may be sparse."""
    return pa.types.is_struct(kind) and {"size", "indices", "values"} <= {
        kind.field(n).name for n in range(kind.num_fields)
    }


def _field_of(kind: pa.DataType, names: list[str], where: str) -> pa.DataType:
    """Return the type of a field inside of structs.

    Raises InputError where there is no such field.
    """
    kind = storage_type(kind)
    for place, name in enumerate(names):
        if not (pa.types.is_struct(kind) and kind.get_field_index(name) >= 0):
            raise InputError(f"{where} is {kind}; it has no field '{'.'.join(names[place:])}'.")
        kind = storage_type(kind.field(name).type)
    return kind


def _numeric_columns(schema: pa.Schema, pattern: str, where: str) -> list[str]:
    """Return the numeric columns that a pattern names, e2 before e10."""
    names = [field.name for field in schema if fnmatch.fnmatchcase(field.name, pattern) and is_number(field.type)]
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


def _stored_as(kind: pa.DataType, where: str) -> Form:
    """Return how a column stores vectors. Raises InputError where it holds none."""
    if pa.types.is_null(kind):
        return "nothing"
    if is_bytes(kind):
        return "bytes"
    if is_text(kind):
        return "text"
    if is_list(kind) and is_number(kind.value_type):
        return "list"
    if is_list(kind) and is_list(kind.value_type) and is_number(kind.value_type.value_type):
        return "nested"
    if is_sparse(kind):
        return "sparse"
    if pa.types.is_struct(kind):
        fields = " or ".join(f"'{kind.field(number).name}'" for number in range(kind.num_fields))
        raise InputError(f"{where} is {kind}; name its field with the vectors after a point: {fields}.")
    raise InputError(
        f"{where} is {kind}; embeddings are lists of floats, bytes of float32, text, or many columns named by a pattern "
        "such as --embedding-column 'dim_*'."
    )


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
    batches = table.combine_chunks().to_batches()
    first = np.cumsum([0] + [batch.num_rows for batch in batches]).tolist()
    lists = [vectors.lists(batch, row) for batch, row in zip(batches, first, strict=False)]
    width = first_width(lists)
    if width is None:
        raise InputError(f"{name}, column '{vectors.columns[0]}' holds no vector.")
    parts = [read_vectors(values, width, vectors.where, row) for values, row in zip(lists, first, strict=False)]
    return np.concatenate([values for values, _ in parts]), np.concatenate(
        [np.asarray(null, bool) for _, null in parts]
    )
