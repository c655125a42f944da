"""Vectors and ids from what callers pass as X.

X may be an array, a tensor, a data frame, an Arrow column or table, or a path.

Shapes: N rows, D dimensions.
"""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float32, Int64
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.kernels.unit_rows import NULL, REASONS, content_order, normalize
from raycluster.storage.column_types import id_order, unique_ids
from raycluster.storage.matrices import matrix_of, text_columns
from raycluster.storage.parquet_input import read_rows
from raycluster.storage.vector_columns import vectors_of_table
from raycluster.storage.vector_forms import is_number


@dataclass(frozen=True)
class Rows:
    """Rows of unit length, their ids, and the order in which they are taken."""

    unit: Float32
    """(N, D)"""
    ids: pa.Array
    """Unique ids (N,); row numbers where there are none."""
    has_ids: bool
    order: Int64
    """(N,) by ids, else by content."""
    index: Any = None
    """Index of a data frame."""
    feature_names: Any = None


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
        In the order of X.

    Raises
    ------
    InputError
        For what holds no vectors, for rows that have no direction, and for ids that do not fit them.
    """
    if _is_matrix(X, config):
        X = X.to_pandas()
    index = getattr(X, "index", None) if hasattr(X, "columns") else None
    column, where, names = config.embedding_column, None, None
    if (table := _table(X, config)) is not None:
        vectors, missing = vectors_of_table(table, column, "X")
        own = table[config.id_column] if config.id_column in table.column_names else None
    elif isinstance(X, str | os.PathLike):
        read = read_rows(os.fspath(X), config.id_column, column)
        vectors, missing, own, where = read.vectors, read.missing, read.ids, read.where
    else:
        vectors, names, own = matrix_of(X), text_columns(X), None
        missing = np.zeros(len(vectors), bool)
    ids = own if ids is None else ids
    keys = None if ids is None else unique_ids(ids, len(vectors))
    unit, reason = normalize(vectors)
    reason[missing] = NULL
    for bad in np.flatnonzero(reason)[:1].tolist():
        place = f"X, row {bad}" if where is None else where(bad, column)
        raise InputError(f"{place}: the vector holds {REASONS[reason[bad]]}.")
    order = content_order(unit) if keys is None else id_order(keys)
    return Rows(unit, pa.array(np.arange(len(unit))) if keys is None else keys, keys is not None, order, index, names)


def _is_matrix(X: Any, config: Config) -> bool:
    """Whether an Arrow table is a matrix.

    It has columns of numbers alone, and neither ids nor vectors among them.
    """
    if not isinstance(X, pa.Table | pa.RecordBatch) or {config.id_column, config.embedding_column} & set(
        X.schema.names
    ):
        return False
    return bool(X.schema.names) and all(is_number(field.type) for field in X.schema)


def _table(X: Any, config: Config) -> pa.Table | None:
    """Return X as an Arrow table; none for a path and for what holds a matrix."""
    if isinstance(X, pa.Table | pa.RecordBatch):
        return pa.table(X) if isinstance(X, pa.RecordBatch) else X
    if isinstance(X, pa.Array | pa.ChunkedArray):
        return pa.table({config.embedding_column: X})
    columns = getattr(X, "columns", ())
    if config.embedding_column in columns and hasattr(X, "to_numpy"):
        names = [name for name in (config.id_column, config.embedding_column) if name in columns]
        return pa.table({name: _cells(X[name], name) for name in names})
    return None


def _cells(column: Any, name: str) -> pa.Array:
    """Return a column of a data frame.

    Raises InputError where there are two of its name, or its cells are of several kinds.
    """
    if hasattr(column, "columns"):
        raise InputError(f"X has {len(column.columns)} columns named '{name}'.")
    cells = [matrix_of([cell])[0] if hasattr(cell, "detach") else cell for cell in column.to_list()]
    try:
        return pa.array(cells)
    except (OverflowError, TypeError, UnicodeError, pa.ArrowException) as error:
        raise InputError(f"X, column '{name}' cannot be read: {' '.join(str(error).split()).rstrip('.')}.") from error
