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
from raycluster.errors import InputError, ResourceError
from raycluster.storage.bare_numbers import BARE, misread_as
from raycluster.storage.free_memory import available_bytes

DECIMAL_COMMA = re.compile(r"\d,\d")
"""A comma inside a number, or between two."""
APART = re.compile(r"\d[\s;]+[-+]?\d")
"""Two numbers with no comma between them."""

COORDINATE_BYTES = 8
"""Bytes of a coordinate of a sparse vector while its batch is read."""


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


def from_bytes(column: pa.Array, where: str, first_row: int = 0) -> pa.Array:
    """Return vectors stored as little-endian float32 bytes.

    Raises InputError for bytes that hold something else.

    Parameters
    ----------
    column
        Bytes per row.
    where
        File and column, for messages.
    first_row
        Number of the first row in its file, for messages.
    """
    rows = column.to_pylist()
    for number, row in enumerate(rows, first_row):
        if row is not None and len(row) % BARE.itemsize:
            raise InputError(
                f"{where}, row {number}: the {len(row)} bytes are no float32 numbers; write vectors as lists."
            )
    if (kind := misread_as(b"".join(row for row in rows if row))) is not None:
        raise InputError(f"{where} holds bytes that are no float32 numbers, but maybe {kind}; write vectors as lists.")
    return _lists([None if row is None else np.frombuffer(row, BARE) for row in rows])


def first_of(column: pa.Array, where: str, first_row: int = 0) -> pa.Array:
    """Return the vectors of a column whose rows are lists of one vector.

    Raises InputError where a row has several.

    Parameters
    ----------
    column
        Lists of lists.
    where
        File and column, for messages.
    first_row
        Number of the first row in its file, for messages.
    """
    plain = plain_lists(column)
    several = pc.fill_null(pc.not_equal(pc.list_value_length(plain), 1), False)
    if pc.any(several).as_py():
        row = first_row + pc.index(several, True).as_py()
        raise InputError(f"{where}, row {row}: the list holds several vectors; a row is one vector.")
    return plain_lists(pc.list_element(plain, 0))


def from_sparse(column: pa.Array, where: str, first_row: int = 0) -> pa.Array:
    """Return vectors that Spark stored.

    They are all values, or a size, indices and their values.

    Parameters
    ----------
    column
        Structs of size, indices and values.
    where
        File and column, for messages.
    first_row
        Number of the first row in its file, for messages.

    Raises
    ------
    InputError
        For a sparse vector without a size, or whose indices do not fit its size and values.
    ResourceError
        Where a batch of the vectors, with their zeros, does not fit into memory.
    """
    vectors: list[Any] = []
    free = available_bytes()
    for number, row in enumerate(column.to_pylist(), first_row):
        if row is None or row["values"] is None or row["indices"] is None:
            vectors.append(row and row["values"])
            continue
        size = row.get("size") or 0
        if size < 1:
            raise InputError(f"{where}, row {number}: the sparse vector has no size.")
        if (need := len(column) * size * COORDINATE_BYTES) > free:
            raise ResourceError(
                f"{where}, row {number}: {len(column)} sparse vectors of {size} coordinates take {need / 2**30:.1f} GiB "
                f"with their zeros, and {free / 2**30:.1f} GiB are free; reduce their size."
            )
        vectors.append(_dense(row, size, f"{where}, row {number}"))
    return _lists(vectors)


def _dense(row: dict[str, Any], size: int, where: str) -> Array:
    """Return a sparse vector with its zeros.

    Raises InputError for indices that are missing, twice or outside of the vector.
    """
    places, values = row["indices"], row["values"]
    is_fit = len(places) == len(set(places)) == len(values) and all(
        place is not None and 0 <= place < size for place in places
    )
    if not is_fit:
        raise InputError(
            f"{where}: the sparse vector of size {size} has {len(places)} indices and {len(values)} values; it takes as "
            f"many of both, and every index once, from 0 to {size - 1}."
        )
    vector = np.zeros(size)
    vector[places] = values
    return vector


def from_text(column: pa.Array, where: str, first_row: int = 0) -> pa.Array:
    """Return vectors stored as text, such as [0.1, 0.2] or 0.1 0.2.

    Raises InputError for text that is none.

    Parameters
    ----------
    column
        Text per row.
    where
        File and column, for messages.
    first_row
        Number of the first row in its file, for messages.
    """
    return _lists([_numbers(row, f"{where}, row {number}") for number, row in enumerate(column.to_pylist(), first_row)])


def _numbers(row: str | None, where: str) -> list[float] | None:
    """Return the numbers in a text; none for a null."""
    if row is None:
        return None
    if DECIMAL_COMMA.search(row) and APART.search(row):
        raise InputError(f"{where}: the commas of the text {row[:40]!r} may be decimal; write points.")
    words = re.split(r"[\s,;]+", row.strip().strip("[](){}").strip(" ,;"))
    try:
        return [float(word) for word in words if word]
    except ValueError:
        raise InputError(f"{where}: the text {row[:40]!r} is no vector of numbers.") from None


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
