"""Vectors and ids from what callers pass as X.

X may be an array, a tensor, a data frame, an Arrow column or table, or a path.
"""

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Array, Bool, Float32, Int64
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.kernels.unit_rows import REASONS, normalize
from raycluster.storage.column_types import plain_ids
from raycluster.storage.parquet_input import input_files, vector_width
from raycluster.storage.vector_columns import VectorSource, vectors_of_table


@dataclass(frozen=True)
class Rows:
    """Vectors (N, D) of any real type, and what they are called."""

    vectors: Array
    missing: Bool
    """Which vectors (N,) are missing or hold a null."""
    ids: pa.Array | None = None
    """Unique ids, where there are any."""
    index: Any = None
    """Index of a data frame."""
    feature_names: Any = None

    @property
    def arrow_ids(self) -> pa.Array:
        """Ids, or row numbers."""
        return pa.array(np.arange(len(self.vectors))) if self.ids is None else self.ids

    def unit(self) -> Float32:
        """Return unit rows (N, D). Raises InputError for rows that have no direction."""
        unit, reason = normalize(self.vectors)
        reason[self.missing] = 1
        bad = np.flatnonzero(reason)
        if len(bad):
            raise InputError(f"X, row {bad[0]}: the vector holds {REASONS[reason[bad[0]]]}.")
        return np.ascontiguousarray(unit)

    def order(self, unit: Float32) -> Int64:
        """Return the order (N,) in which rows are taken.

        It is that of ids, else of the content of `unit` (N, D).
        """
        if self.ids is not None:
            return np.asarray(pc.sort_indices(self.ids).to_numpy(), np.int64)
        return np.argsort(unit.view(np.dtype((np.void, unit.strides[0]))).ravel(), kind="stable")


def rows_of(X: Any, ids: Any, config: Config) -> Rows:
    """Return the rows of X.

    Parameters
    ----------
    X
        Array, tensor, data frame, Arrow column or table, or path of Parquet files.
    ids
        Unique ids (N,); none for row numbers, or the ids of a table.
    config
        Names the columns of ids and vectors in tables and files.

    Returns
    -------
    Rows
        Vectors as they are, not yet of unit length.

    Raises
    ------
    InputError
        For what holds no vectors, and for ids that do not fit them.
    """
    if isinstance(X, str | os.PathLike):
        rows = _of_path(os.fspath(X), config)
    elif isinstance(X, pa.Table | pa.RecordBatch):
        rows = _of_table(pa.table(X) if isinstance(X, pa.RecordBatch) else X, config, "X")
    elif isinstance(X, pa.Array | pa.ChunkedArray):
        rows = _of_table(pa.table({config.embedding_column: X}), config, "X")
    elif config.embedding_column in (columns := getattr(X, "columns", ())) and hasattr(X, "to_numpy"):
        cells = {
            name: pa.array(X[name].to_list()) for name in (config.id_column, config.embedding_column) if name in columns
        }
        rows = replace(_of_table(pa.table(cells), config, "X"), index=getattr(X, "index", None))
    else:
        rows = _of_array(X)
    if ids is None:
        return rows
    keys = _keys(ids)
    return Rows(rows.vectors, rows.missing, _unique(keys, len(rows.vectors)), rows.index, rows.feature_names)


def _keys(ids: Any) -> pa.Array:
    """Return ids of any kind as an Arrow array.

    Raises InputError for what Arrow cannot hold or compare.
    """
    if isinstance(ids, pa.Array | pa.ChunkedArray):
        keys = plain_ids(pa.chunked_array([ids]) if isinstance(ids, pa.Array) else ids).combine_chunks()
    else:
        array = np.asarray(ids)
        try:
            is_whole = array.dtype.kind in "iu" and array.ndim == 1
            keys = pa.array(array.astype(array.dtype.newbyteorder("=")) if is_whole else array.tolist())
        except (OverflowError, pa.ArrowException) as error:
            raise InputError(f"ids cannot be compared: {' '.join(str(error).split())}.") from error
        keys = keys.storage if isinstance(keys, pa.ExtensionArray) else keys
    if pa.types.is_nested(keys.type):
        raise InputError(f"ids are {keys.type}; an id is one integer, string or binary.")
    if pa.types.is_floating(keys.type) and pc.any(pc.is_nan(keys)).as_py():
        raise InputError(f"ids, row {pc.index(pc.is_nan(keys), True).as_py()}: the id is NaN.")
    return keys


def _of_tensor(X: Any) -> Array:
    """Return the values of a tensor.

    Its gradient is no part of the vectors, and numpy has no bfloat16.
    """
    if X.is_meta:
        raise InputError("X must be a 2-d array of numbers, but its tensor is on the device meta, without values.")
    X = X.detach()
    X = (X if str(X.layout) == "torch.strided" else X.to_dense()).cpu()
    return np.asarray((X.float() if X.is_floating_point() else X).numpy())


def _of_array(X: Any) -> Rows:
    """Return the rows of an array, a tensor, or a pandas or polars data frame."""
    index = getattr(X, "index", None) if hasattr(X, "columns") else None
    names = _feature_names(X)
    if hasattr(X, "to_numpy") and hasattr(X, "columns"):
        X = X.to_numpy()
    if hasattr(X, "detach"):
        X = _of_tensor(X)
    if hasattr(X, "to_list") and not isinstance(X, np.ndarray):  # a series whose cells are vectors
        X = X.to_list()
    if isinstance(X, np.ma.MaskedArray):
        if X.ndim == 2 and np.ma.getmaskarray(X).any():
            row = int(np.flatnonzero(np.ma.getmaskarray(X).any(axis=1))[0])
            raise InputError(f"X, row {row}: the vector holds a masked value.")
        X = X.data
    if hasattr(X, "toarray"):
        X = X.toarray()
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise InputError("X must be a 2-d array of numbers, but its rows differ in length.") from error
    if array.dtype == object:
        array = _numbers(array)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or array.size == 0:
        hint = " Reshape your data: X.reshape(1, -1) is one row." if array.ndim == 1 else ""
        hint = " Complex data not supported." if array.dtype.kind == "c" else hint
        if array.ndim == 2 and array.shape[1] == 0:
            hint = f" It has 0 feature(s) (shape={array.shape}) while a minimum of 1 is required."
        raise InputError(f"X must be a 2-d array of numbers, not {array.dtype} of shape {array.shape}.{hint}")
    return Rows(array, np.zeros(len(array), bool), index=index, feature_names=names)


def _numbers(array: Array) -> Array:
    """Return an array of objects as numbers where all are."""
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        return array


def _feature_names(X: Any) -> Any:
    """Return the column names of a data frame; none unless all are text."""
    columns = getattr(X, "columns", None)
    if columns is None or not len(columns) or not all(isinstance(name, str) for name in columns):
        return None
    return np.asarray(list(columns), dtype=object)


def _of_table(table: pa.Table, config: Config, name: str) -> Rows:
    """Return the vectors, and the ids if there are any, of an Arrow table."""
    vectors, missing = vectors_of_table(table, config.embedding_column, name)
    ids = None
    if config.id_column in table.column_names:
        ids = _unique(plain_ids(table[config.id_column]).combine_chunks(), len(vectors))
    return Rows(vectors, missing, ids)


def _of_path(path: str, config: Config) -> Rows:
    """Return the rows of Parquet files."""
    store, names = input_files(path)
    tables = []
    for name in names:
        with store.parquet(name) as file:
            source = VectorSource.of(file.schema_arrow, config.embedding_column, store.name(name))
            vector_width(file, source)
            columns = source.columns + ([config.id_column] if config.id_column in file.schema_arrow.names else [])
            tables.append(file.read(columns=columns))
    return _of_table(pa.concat_tables(tables, promote_options="permissive"), config, path)


def _unique(ids: pa.Array, rows: int) -> pa.Array:
    """Return ids that fit the rows.

    Raises InputError where they do not, or where one is null or occurs twice.
    """
    if len(ids) != rows:
        raise InputError(f"ids has {len(ids)} entries, but X has {rows} rows.")
    if ids.null_count:
        raise InputError(f"ids, row {pc.index(pc.is_null(ids), True).as_py()}: the id is null.")
    counts = pc.value_counts(ids)
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise InputError(f"ids holds {twice[0]['values'].as_py()!r} twice.")
    return ids
