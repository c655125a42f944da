"""Types of the user's columns by what they hold, not by how Arrow spells them.

Canonical extension types (JSON, UUID, fixed-shape tensors) are read as what they are stored as; they run no code. Columns
that no option names are never decoded.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Int64
from raycluster.errors import InputError

CANONICAL = (
    "arrow.json", "arrow.uuid", "arrow.fixed_shape_tensor", "arrow.bool8", "arrow.opaque", "ray.data.arrow_tensor"
)  # fmt: skip
"""Prefixes of the extension types whose storage holds the values."""


def require_columns(schema: pa.Schema, columns: Sequence[str], name: str) -> None:
    """Refuse a file that lacks a column, has it twice, or has it with a foreign type.

    Foreign are the extension types that are not canonical.

    Parameters
    ----------
    schema
        Of the file.
    columns
        Names that it must have once.
    name
        Of the file, for the message.
    """
    for column in columns:
        if column not in schema.names:
            raise InputError(f"{name} has no column '{column}'; it has {', '.join(schema.names)}.")
        if schema.names.count(column) > 1:
            raise InputError(f"{name} has {schema.names.count(column)} columns named '{column}'.")
        if (kind := _foreign_extension(schema.field(column))) is not None:
            raise InputError(
                f"{name}, column '{column}' has the extension type {kind}, which may run code when it is read; "
                "write it as a plain type."
            )


def _foreign_extension(field: pa.Field) -> str | None:
    """Return the name of an extension type that is not canonical, or none.

    It may stand in a field or inside the field's type.
    """
    kind = field.type
    marked = (field.metadata or {}).get(b"ARROW:extension:name", b"").decode(errors="replace")
    name = kind.extension_name if isinstance(kind, pa.BaseExtensionType) else marked
    if name:
        return None if name.startswith(CANONICAL) else name
    inner = (_foreign_extension(kind.field(number)) for number in range(kind.num_fields))
    return next((found for found in inner if found is not None), None)


def storage_type(kind: pa.DataType) -> pa.DataType:
    """Return a type without extension and dictionary encoding."""
    if isinstance(kind, pa.BaseExtensionType):
        return storage_type(kind.storage_type)
    return storage_type(kind.value_type) if pa.types.is_dictionary(kind) else kind


def is_text(kind: pa.DataType) -> bool:
    """Whether values are strings."""
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(check(kind) for check in checks)


def is_bytes(kind: pa.DataType) -> bool:
    """Whether values are bytes."""
    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(check(kind) for check in checks)


def id_type_of(kind: pa.DataType, where: str) -> pa.DataType | None:
    """Return the plain type of ids of a column; none for a column of nulls.

    Raises InputError for other values.
    """
    plain = storage_type(kind)
    if pa.types.is_null(plain):
        return None
    if is_bytes(plain):
        return pa.large_binary() if pa.types.is_large_binary(plain) else pa.binary()
    if is_text(plain):
        return pa.string() if pa.types.is_string(plain) else pa.large_string()
    if pa.types.is_integer(plain):
        return plain
    if pa.types.is_decimal(plain) or pa.types.is_floating(plain):
        return pa.int64()  # whole numbers as SQL and pandas write them; others are refused where they are read
    raise InputError(f"{where} is {kind}; ids are integers, strings or binary.")


def common_id_type(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    """Return the type that holds the ids of two files; none where there is none."""
    if first == second:
        return first
    if pa.types.is_integer(first) and pa.types.is_integer(second):
        if pa.types.is_signed_integer(first) == pa.types.is_signed_integer(second):
            return first if first.bit_width >= second.bit_width else second
        return pa.int64()  # a value beyond it is refused where it is read
    if is_text(first) and is_text(second):
        return pa.large_string()
    return pa.large_binary() if is_bytes(first) and is_bytes(second) else None


def plain_ids(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return values without extension and dictionary encoding.

    Fixed-size binary as binary, views as large.
    """
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if is_bytes(kind):
        kind = pa.large_binary() if pa.types.is_large_binary(kind) else pa.binary()
    if pa.types.is_string_view(kind):
        kind = pa.large_string()
    return column.cast(kind)


def ids_as(column: pa.ChunkedArray | pa.Array, kind: pa.DataType, where: str) -> pa.ChunkedArray:
    """Return ids that users wrote in the type of the ids that they are compared with.

    Integers of any width, whole numbers as floats or decimals, numbers as text, and bytes that are text are read. Null stays.

    Parameters
    ----------
    column : pa.ChunkedArray or pa.Array
        As read from a file.
    kind : pa.DataType
        Type of the ids of the set.
    where : str
        File and column, for messages.

    Raises
    ------
    InputError
        The column holds values of another kind, or one that the type cannot hold.
    """
    chunked = pa.chunked_array([column]) if isinstance(column, pa.Array) else column
    try:
        plain = plain_ids(chunked)
        if not _can_be(plain.type, kind):
            raise InputError(f"{where} is {chunked.type}, but the run's ids are {kind}.")
        return plain.cast(kind)
    except pa.ArrowInvalid as error:
        value = _first_refused(plain, kind)
        raise InputError(f"{where} is {chunked.type} and holds {value!r}, but the run's ids are {kind}.") from error
    except pa.ArrowNotImplementedError as error:
        raise InputError(f"{where} is {chunked.type}, but the run's ids are {kind}.") from error


def _first_refused(column: pa.ChunkedArray, kind: pa.DataType) -> Any:
    """Return the first value that a type cannot hold, by halves of the column."""
    while len(column) > 1:
        half = len(column) // 2
        try:
            column.slice(0, half).cast(kind)
        except pa.ArrowInvalid:
            column = column.slice(0, half)
        else:
            column = column.slice(half)
    return column[0].as_py()


def _can_be(kind: pa.DataType, ids: pa.DataType) -> bool:
    """Whether values may be the same ids as those of another type."""
    is_number = pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind)
    if pa.types.is_integer(ids):
        return is_number or is_text(kind) or pa.types.is_null(kind)
    return is_text(kind) or is_bytes(kind) or pa.types.is_null(kind) or (pa.types.is_integer(kind) and is_text(ids))


def whole_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return floating-point labels and decimals as integers where all are whole.

    pandas writes integers with gaps so, and SQL numbers. NaN is a gap.
    """
    if pa.types.is_decimal(column.type):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            return column
    if not pa.types.is_floating(column.type):
        return column
    if pa.types.is_float16(column.type):  # Arrow rounds no half floats
        column = column.cast(pa.float32())
    filled = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if pc.all(pc.equal(pc.floor(filled), filled)).as_py() is False:
        return column
    try:
        return filled.cast(pa.int64())
    except pa.ArrowInvalid:  # infinity, or beyond 64 bits
        return column


def unique_ids(ids: Any, rows: int) -> pa.Array:
    """Return ids of any kind as an Arrow array, one per row.

    Raises InputError where they are not unique ids of so many rows.
    """
    ids = _arrow_ids(ids)
    if len(ids) != rows:
        raise InputError(f"ids has {len(ids)} entries, but X has {rows} rows.")
    if ids.null_count:
        raise InputError(f"ids, row {pc.index(pc.is_null(ids), True).as_py()}: the id is null.")
    counts = pc.value_counts(ids)
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise InputError(f"ids holds {twice[0]['values'].as_py()!r} twice.")
    return ids


def id_order(ids: pa.Array) -> Int64:
    """Return the order (N,) that sorts ids (N,)."""
    return np.asarray(pc.sort_indices(ids).to_numpy(), np.int64)


def _arrow_ids(ids: Any) -> pa.Array:
    """Return ids of any kind as an Arrow array.

    Raises InputError for what Arrow cannot hold or compare.
    """
    if isinstance(ids, pa.Array | pa.ChunkedArray):
        keys = plain_ids(pa.chunked_array([ids]) if isinstance(ids, pa.Array) else ids).combine_chunks()
    else:
        try:
            keys = pa.array(_cells(ids))
        except (OverflowError, TypeError, UnicodeError, pa.ArrowException) as error:
            raise InputError(f"ids cannot be compared: {' '.join(str(error).split()).rstrip('.')}.") from error
        keys = keys.storage if isinstance(keys, pa.ExtensionArray) else keys
    if pa.types.is_nested(keys.type):
        raise InputError(f"ids are {keys.type}; an id is one integer, string or binary.")
    if pa.types.is_floating(keys.type) and pc.any(pc.is_nan(keys)).as_py():
        raise InputError(f"ids, row {pc.index(pc.is_nan(keys), True).as_py()}: the id is NaN.")
    return keys


def _cells(ids: Any) -> Any:
    """Return ids as whole numbers or a list of values, none changed.

    numpy would cut zero bytes at the end of an id, and make text of numbers beside text.
    """
    if isinstance(ids, str | bytes):
        raise InputError(f"ids is one text, {ids[:40]!r}; it takes one id per row.")
    if hasattr(ids, "to_list"):  # a series or an index
        return ids.to_list()
    if not hasattr(ids, "__array__"):
        return list(ids)
    array = np.asarray(ids)
    is_whole = array.dtype.kind in "iu" and array.ndim == 1
    return array.astype(array.dtype.newbyteorder("=")) if is_whole else array.tolist()
