"""True identities of a labelled data set, read from its files.

They are Parquet, or CSV, TSV and JSON lines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Int64
from raycluster.errors import InputError
from raycluster.stages.stage import row_shards
from raycluster.storage.column_types import ids_as, is_text, plain_ids, require_columns, whole_numbers
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import MARKS, hive_values, input_files
from raycluster.storage.run_folder import numbered_rows
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.text_tables import ENDINGS, is_text_table, read_text_table

UNKNOWN = -1
"""Identity of a row without a label."""


def labelled_rows(tables: StoredTables, label_column: str) -> tuple[Int64, pa.DictionaryArray]:
    """Return the rows (M,) of a run whose input labels them, and their labels.

    Rows that the run dropped are left out.

    Raises InputError as `read_labels` does.
    """
    ids = pa.chunked_array([chunk for shard in row_shards(tables) for chunk in tables.ids(shard).chunks])
    keys, labels = read_labels(
        tables.name, tables.config.id_column, label_column, ids.type, numbered_rows(tables.folder.store)
    )
    row = pc.index_in(keys, value_set=ids.combine_chunks())
    is_present = pc.is_valid(row)
    return row.filter(is_present).to_numpy(), labels.filter(is_present).combine_chunks().dictionary_encode()


def read_labels(
    url: str, id_column: str, label_column: str, id_type: pa.DataType, numbered: int | None = None
) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return ids (M,) and labels (M,) of the rows of `url` whose label is not null.

    Ids are of `id_type`, labels large strings.

    Parameters
    ----------
    url
        Parquet files, or files of text where there are none.
    id_column, label_column
        Their columns.
    id_type
        Type of the run's ids.
    numbered
        Rows of a run whose ids are row numbers: labels without ids are matched by these. None refuses such labels.

    Raises
    ------
    InputError
        For missing columns, and labels that are neither integers nor strings. For ids of another type, null or that occur
        twice. For another number of rows where these are matched by number, and where no row has a label.
    """
    store, names = input_files(url, ENDINGS)
    keys: list[pa.Array] = []
    values: list[pa.Array] = []
    first, without_ids = 0, 0
    for name in names:
        file = _opened(store, name, [id_column, label_column])
        key = _keys(file, id_column, None if numbered is None else first)
        without_ids += file.table.num_rows if id_column not in file.names else 0
        value = _labels(file, label_column)
        first += file.table.num_rows
        keys += ids_as(key, id_type, f"{file.name}, column '{id_column}'").chunks
        values += value.cast(pa.large_string()).chunks
    if without_ids and first != numbered:
        raise InputError(
            f"{url} has no column '{id_column}' and {first} rows, but the run, whose ids are row numbers, has {numbered}."
        )
    labels = pa.chunked_array(values, pa.large_string())
    labelled = pc.is_valid(labels)
    ids, labels = pa.chunked_array(keys, id_type).filter(labelled), labels.filter(labelled)
    if len(labels) == 0:
        raise InputError(f"{url}, column '{label_column}' holds no label.")
    if ids.null_count:
        raise InputError(f"{url}, column '{id_column}': {ids.null_count} rows with a label have no id.")
    counted = pc.value_counts(ids.combine_chunks())
    twice = counted.filter(pc.greater(counted.field("counts"), 1))
    if len(twice):
        raise InputError(f"{url}, column '{id_column}' holds the id {twice[0]['values'].as_py()!r} twice.")
    return ids, labels


@dataclass(frozen=True)
class _File:
    """The columns of labels in one file."""

    name: str
    """For messages."""
    names: list[str]
    """All columns of the file."""
    table: pa.Table
    """Those that are wanted, as far as it has them."""
    partition: Mapping[str, str | None]
    """Columns that the names of its folders hold."""


def _opened(store: Store, path: str, columns: Sequence[str]) -> _File:
    """Return columns of one file."""
    name, partition = store.name(path), hive_values(path)
    if is_text_table(name) and not store.starts_with(path, MARKS):
        return _File(name, *read_text_table(store, path, columns), partition)
    with store.parquet(path) as file:
        schema = file.schema_arrow
        there = [column for column in columns if column in schema.names]
        require_columns(schema, there, name)
        return _File(name, schema.names, file.read(columns=there), partition)


def _keys(file: _File, column: str, first: int | None) -> pa.ChunkedArray:
    """Return the ids of a file.

    Without any, row numbers from `first` on, if the run's ids are such numbers.
    """
    if column not in file.names and column == "id" and first is not None:
        return pa.chunked_array([np.arange(first, first + file.table.num_rows)])
    return _column(file, column)


def _labels(file: _File, column: str) -> pa.ChunkedArray:
    """Return the labels of a file.

    They are a column of integers or strings, or the value that the folder's name holds.
    """
    if column not in file.names and column in file.partition:
        value, rows = file.partition[column], file.table.num_rows
        return pa.chunked_array([pa.nulls(rows, pa.string()) if value is None else pa.repeat(value, rows)])
    labels = whole_numbers(plain_ids(_column(file, column)))
    if not (pa.types.is_integer(labels.type) or is_text(labels.type) or pa.types.is_null(labels.type)):
        raise InputError(f"{file.name}, column '{column}' is {labels.type}; labels are integers or strings.")
    return labels


def _column(file: _File, column: str) -> pa.ChunkedArray:
    """Return a column of a file. Raises InputError where it has none of that name."""
    if column not in file.names:
        raise InputError(f"{file.name} has no column '{column}'; it has {', '.join(file.names)}.")
    return file.table[column]


def require_labels(url: str, column: str) -> None:
    """Raise InputError where a file of the input at `url` has no usable label column.

    Reads no more than one column.
    """
    store, names = input_files(url)
    for name in names:
        _labels(_opened(store, name, [column]), column)
