"""The user's Parquet files: which there are, whether their columns can be used, and the rows they hold."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raycluster.arrays import Array
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.storage.object_store import Store
from raycluster.storage.records import InputDescription, InputFile

BATCH_ROWS = 65_536
"""Rows decoded at once: 64 MiB of vectors 256 wide. More rows take more memory and are not faster."""
WIDTH_BATCH = 1024
"""Rows read at once while the first vector is looked for."""


def input_files(url: str) -> tuple[Store, list[str]]:
    """The store of `--input` and its Parquet files, sorted by path; raises InputError where there is none."""
    store = Store(url)
    if store.is_file():
        return store, [""]
    found = store.files()
    names = [name for name in found if name.endswith((".parquet", ".pq")) and not _hidden(name)]
    if not found:
        raise InputError(f"The input {url} does not exist or is an empty folder.")
    if not names:
        raise InputError(f"The input {url} holds no file that ends in .parquet.")
    return store, names


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split("/"))


def describe_input(url: str) -> InputDescription:
    """Return what tells whether the input of a run is still the same."""
    store, names = input_files(url)
    return InputDescription(store.url, [InputFile(**store.identity(name)) for name in names])


def check_columns(schema: pa.Schema, config: Config, name: str) -> None:
    """Refuse extension-typed columns before anything of Ray could decode them, and columns missing or mistyped."""
    require_columns(schema, [config.id_column, config.embedding_column], name)
    kind = schema.field(config.id_column).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_integer(kind) or _is_text(kind)):
        raise InputError(f"{name}, column '{config.id_column}' is {kind}; ids are integers, strings or binary.")
    kind = schema.field(config.embedding_column).type
    if not (_is_list(kind) and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))):
        raise InputError(f"{name}, column '{config.embedding_column}' is {kind}; embeddings are lists of floats.")


def require_columns(schema: pa.Schema, columns: list[str], name: str) -> None:
    """Refuse a file with an extension type in any column, and one that lacks a column or has it twice."""
    for field in schema:
        if _is_extended(field):
            raise InputError(
                f"{name}, column '{field.name}' has an extension type, which may run code when it is read; "
                "write it as a plain type."
            )
    for column in columns:
        if column not in schema.names:
            raise InputError(f"{name} has no column '{column}'; it has {', '.join(schema.names)}.")
        if schema.names.count(column) > 1:
            raise InputError(f"{name} has {schema.names.count(column)} columns named '{column}'.")


def _is_extended(field: pa.Field) -> bool:
    kind = field.type
    if isinstance(kind, pa.BaseExtensionType) or b"ARROW:extension:name" in (field.metadata or {}):
        return True
    return any(_is_extended(kind.field(number)) for number in range(kind.num_fields))


def _is_text(kind: pa.DataType) -> bool:
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(check(kind) for check in checks) or bool(pa.types.is_fixed_size_binary(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind))


def plain_ids(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Ids without dictionary encoding; fixed-size binary as binary."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return column.cast(pa.binary() if pa.types.is_fixed_size_binary(kind) else kind)


def refuse_null_ids(column: pa.ChunkedArray, name: str, file: str) -> None:
    if column.null_count:
        row = pc.index(pc.is_null(column), True).as_py()
        raise InputError(f"{file}, column '{name}', row {row}: the id is null.")


def vector_width(file: pq.ParquetFile, column: str, name: str) -> int:
    """Length of the first vector that is there; 0 where all are null."""
    kind = file.schema_arrow.field(column).type
    row = 0
    for batch in file.iter_batches(WIDTH_BATCH, columns=[column]):
        valid = np.flatnonzero(pc.is_valid(batch.column(0)))
        if len(valid):
            fixed = pa.types.is_fixed_size_list(kind)
            width = kind.list_size if fixed else pc.list_value_length(batch.column(0))[int(valid[0])].as_py()
            if width == 0:
                raise InputError(f"{name}, column '{column}', row {row + valid[0]}: the vector has zero length.")
            return int(width)
        row += batch.num_rows
    return 0


def read_vectors(column: pa.Array, width: int, where: str, first_row: int) -> tuple[Array, Any]:
    """A batch's embedding column as (R, width) floats and a mask of rows that are null or hold a null.

    Raises InputError, naming the row, for a vector of another length.
    """
    null = np.asarray(pc.is_null(column))
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
