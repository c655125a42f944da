"""Columns of the user that decide: an article number, a frame, a country.

They are held as `Deciding`: values (N,) of each column under names such as `exclusive:frame_id`; the word before the colon is
the kind. Null decides nothing.

Shapes: N rows.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Bool, Int32
from raycluster.errors import ConfigError, InputError
from raycluster.identities.ties import Columns, codes
from raycluster.storage.column_types import ids_as, plain_ids, require_columns
from raycluster.storage.parquet_input import input_files

KINDS = ("exclusive", "same", "differ")
Deciding = dict[str, pa.ChunkedArray]


def named(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names of columns, by kind.

    Raises ConfigError where a column is there twice.
    """
    plain = [name for kind in KINDS for name in columns.get(kind, ())]
    for name in plain:
        if plain.count(name) > 1:
            raise ConfigError(f"The column '{name}' is named twice; a column decides in one way.")
    return [f"{kind}:{name}" for kind in KINDS for name in columns.get(kind, ())]


def values(urls: Sequence[str], id_column: str, names: Sequence[str], ids: pa.Array) -> Deciding:
    """Return the values of columns for `ids` (N,), null for ids without a row.

    Parameters
    ----------
    urls : sequence of str
        Parquet files or folders. Of several rows with one id the last counts.
    id_column : str
        Column of the ids.
    names : sequence of str
        Names such as `same:ean`.
    ids : (N,) pa.Array
        Ids of the rows.

    Raises
    ------
    InputError
        No file has a column, or its values have several types.
    """
    tables = [table for url in urls for table in _read(url, id_column, names, ids.type)] if names else []
    result = {}
    for name in names:
        column, inputs = name.partition(":")[2], " ".join(urls)
        there = [table for table in tables if name in table.column_names]
        if not there:
            raise InputError(f"No file of {inputs} has the column '{column}', which decides.")
        keys = pa.chunked_array([chunk for table in there for chunk in table["id"].chunks], ids.type)
        kinds = {table[name].type for table in there} - {pa.null()}
        if len(kinds) > 1:
            raise InputError(f"The column '{column}' of {inputs} is {' and '.join(sorted(map(str, kinds)))}.")
        kind = kinds.pop() if kinds else pa.string()
        cells = pa.chunked_array([chunk.cast(kind) for table in there for chunk in table[name].chunks], kind)
        at = pc.index_in(keys, value_set=ids).fill_null(-1).to_numpy()
        place = np.full(len(ids), -1, np.int64)
        place[at[at >= 0]] = np.flatnonzero(at >= 0)
        result[name] = cells.take(pa.array(place, mask=place < 0))
    return result


def _read(url: str, id_column: str, names: Sequence[str], id_type: pa.DataType) -> list[pa.Table]:
    """Ids, and those of the columns that a file has, per file."""
    store, files = input_files(url)
    tables = []
    for file in files:
        with store.parquet(file) as opened:
            schema = opened.schema_arrow
            require_columns(schema, [id_column], store.name(file))
            columns = {name: name.partition(":")[2] for name in names}
            columns = {name: column for name, column in columns.items() if column in schema.names}
            table = opened.read(columns=list(dict.fromkeys([id_column, *columns.values()])))
        cells = {name: plain_ids(table[column]) for name, column in columns.items()}
        for name, column in columns.items():
            if pa.types.is_nested(cells[name].type):
                raise InputError(f"{store.name(file)}, column '{column}' is {table[column].type}; lists cannot decide.")
        keys = ids_as(table[id_column], id_type, f"{store.name(file)}, column '{id_column}'")
        tables.append(pa.table({"id": keys, **cells}))
    return tables


def extended(before: Deciding, new: Deciding, num_new: int) -> Deciding:
    """Return columns of the rows so far with those of new rows.

    Parameters
    ----------
    before : dict
        Columns of the rows so far.
    new : dict
        Columns of the new rows. A column that is not there is null.
    num_new : int
        New rows.

    Raises
    ------
    InputError
        New values have another type than those so far.
    """
    result = {}
    for name, column in before.items():
        more = new.get(name, pa.chunked_array([pa.nulls(num_new, column.type)]))
        try:
            result[name] = pa.chunked_array([*column.chunks, *more.cast(column.type).chunks], column.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(
                f"The column '{name.partition(':')[2]}' is {more.type}, but it was {column.type} before."
            ) from error
    return result


def in_codes(deciding: Deciding, is_alive: Bool) -> Columns:
    """Return columns as codes; removed rows decide nothing."""
    of_kind: dict[str, dict[str, Int32]] = {kind: {} for kind in KINDS}
    for name, column in deciding.items():
        kind, _, plain = name.partition(":")
        of_kind[kind][plain] = np.where(is_alive, codes(column), -1).astype(np.int32)
    return Columns(of_kind["exclusive"], of_kind["same"], of_kind["differ"])
