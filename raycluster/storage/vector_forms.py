"""Vectors as they are stored, decoded to lists of numbers and to arrays.

They are lists, lists of one list, bytes of float32, text, many columns, or the sparse and dense vectors of Spark.

Shapes: R rows of a batch, D dimensions.
"""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Array
from raycluster.errors import InputError
from raycluster.storage.bare_numbers import BARE, misread_as

DECIMAL_COMMA = re.compile(r"\d,\d")
"""A comma inside a number, or between two."""
APART = re.compile(r"\d[\s;]+[-+]?\d")
"""Two numbers with no comma between them."""


def is_list(kind: pa.DataType) -> bool:
    """Whether values are lists."""
    checks = (pa.types.is_fixed_size_list, pa.types.is_list, pa.types.is_large_list)
    return any(check(kind) for check in checks) or is_list_view(kind)


def is_list_view(kind: pa.DataType) -> bool:
    """Whether values are lists whose offsets need not ascend."""
    return pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind)


def is_number(kind: pa.DataType) -> bool:
    """Whether values can be coordinates."""
    checks = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean, pa.types.is_decimal)
    return any(check(kind) for check in checks)


def plain_lists(column: pa.Array) -> pa.Array:
    """Return a column without extension and dictionary encoding."""
    if isinstance(column.type, pa.BaseExtensionType):
        return plain_lists(column.storage)
    column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    if is_list_view(column.type):  # Arrow's cast gives null rows a negative length
        return pa.array(column.to_pylist(), pa.large_list(column.type.value_type))
    return column


def stacked(columns: list[pa.Array]) -> pa.Array:
    """Return many numeric columns as one list column.

    A row with a null in any is null.
    """
    matrix = np.stack([np.asarray(column.cast(pa.float64()).fill_null(np.nan)) for column in columns], axis=1)
    null = np.any([np.asarray(column.is_null()) for column in columns], axis=0)
    offsets = pa.array(np.arange(len(matrix) + 1, dtype=np.int64) * len(columns))
    return pa.LargeListArray.from_arrays(offsets, pa.array(matrix.ravel()), mask=pa.array(null))


def _lists(rows: list[Any]) -> pa.Array:
    return pa.array(rows, pa.large_list(pa.float64()))


def from_bytes(column: pa.Array, where: str) -> pa.Array:
    """Return vectors stored as little-endian float32 bytes.

    Raises InputError for bytes that hold something else.
    """
    rows = column.to_pylist()
    for row in rows:
        if row is not None and len(row) % BARE.itemsize:
            raise InputError(f"{where} holds {len(row)} bytes, which are no float32 numbers; write vectors as lists.")
    if (kind := misread_as(b"".join(row for row in rows if row))) is not None:
        raise InputError(f"{where} holds bytes that are no float32 numbers, but maybe {kind}; write vectors as lists.")
    return _lists([None if row is None else np.frombuffer(row, BARE) for row in rows])


def first_of(column: pa.Array, where: str) -> pa.Array:
    """Return the vectors of a column whose rows are lists of one vector.

    Raises InputError where a row has several.
    """
    plain = plain_lists(column)
    several = pc.fill_null(pc.not_equal(pc.list_value_length(plain), 1), False)
    if pc.any(several).as_py():
        raise InputError(f"{where} holds lists of several vectors; a row is one vector.")
    return plain_lists(pc.list_element(plain, 0))


def from_sparse(column: pa.Array, where: str) -> pa.Array:
    """Return vectors that Spark stored.

    They are all values, or a size, indices and their values.

    Raises InputError for a sparse one without a size.
    """
    vectors: list[Any] = []
    for row in column.to_pylist():
        if row is None or row["values"] is None or row["indices"] is None:
            vectors.append(row and row["values"])
            continue
        if not row.get("size"):
            raise InputError(f"{where} holds a sparse vector without a size.")
        vector = np.zeros(row["size"])
        vector[row["indices"]] = row["values"]
        vectors.append(vector)
    return _lists(vectors)


def from_text(column: pa.Array, where: str) -> pa.Array:
    """Return vectors stored as text, such as [0.1, 0.2] or 0.1 0.2.

    Raises InputError for text that is none.
    """
    vectors: list[Any] = []
    for row in column.to_pylist():
        if row is None:
            vectors.append(None)
            continue
        try:
            if DECIMAL_COMMA.search(row) and APART.search(row):
                raise InputError(f"{where} holds the text {row[:40]!r}, whose commas may be decimal; write points.")
            vectors.append(
                [float(word) for word in re.split(r"[\s,;]+", row.strip().strip("[](){}").strip(" ,;")) if word]
            )
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{where} holds the text {row[:40]!r}, which is no vector of numbers.") from None
    return _lists(vectors)


def first_width(lists: list[pa.Array]) -> int | None:
    """Return the length of the first vector; None where there is none."""
    for values in lists:
        if pa.types.is_fixed_size_list(values.type):
            return int(values.type.list_size)
        valid = pc.drop_null(pc.list_value_length(values))
        if len(valid):
            return int(valid[0].as_py())
    return None


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
    flat = flat.cast(pa.from_numpy_dtype(values.dtype), safe=False).fill_null(0)
    values[~null] = np.asarray(flat).reshape(-1, width)
    if missing is not None:
        null[np.flatnonzero(~null)[missing.any(axis=1)]] = True
    return values, null
