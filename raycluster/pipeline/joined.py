"""Labels beside the user's own columns, file by file.

All tables have the same columns: what one file lacks is null, and types are widened.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from raycluster.errors import InputError
from raycluster.storage.column_types import ids_as, require_columns
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import hive_values, input_files


def joined(labels: pa.Table, url: str, id_column: str, *, is_numbered: bool) -> Iterator[pa.Table]:
    """Yield every file of an input with the label columns appended.

    Their names are those of `label_names`.

    Rows that are not in the run have no label.

    Parameters
    ----------
    labels : pa.Table
        Of the run, with its ids in the column `id`.
    url : str
        Parquet with the user's columns.
    id_column : str
        Its column of ids.
    is_numbered : bool
        Whether the ids of the run are row numbers: files without ids are then counted through.

    Raises
    ------
    InputError
        Ids are missing or of another type, a column is there twice, or columns of two files do not fit.
    """
    store, names = input_files(url)
    keys = labels["id"].combine_chunks()
    schema = _schema(store, names, id_column, is_numbered, keys.type)
    shown = label_names(labels, schema.names)
    first = 0
    for name in names:
        with store.parquet(name) as file:
            table = file.read()
        for column, value in hive_values(name).items():
            if column not in table.column_names:
                cells = pa.array([value] * table.num_rows, pa.string())
                table = table.append_column(column, cells)
        if id_column in table.column_names:
            ids = ids_as(table[id_column], keys.type, f"{store.name(name)}, column '{id_column}'")
        else:
            ids = pa.chunked_array([pa.array(range(first, first + table.num_rows), keys.type)])
        if id_column in table.column_names and schema.field(id_column).type == keys.type:
            table = table.set_column(table.column_names.index(id_column), id_column, ids)
        first += table.num_rows
        row = pc.index_in(ids, value_set=keys)
        missing = [field.name for field in schema if field.name not in table.column_names]
        for column in missing:
            table = table.append_column(column, pa.nulls(table.num_rows, schema.field(column).type))
        try:
            table = table.select(schema.names).cast(schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(
                f"{store.name(name)} does not fit into one table: {' '.join(str(error).split())}."
            ) from error
        for column, label in shown.items():
            table = table.append_column(label, labels[column].take(row))
        yield table


def label_names(labels: pa.Table, taken: list[str]) -> dict[str, str]:
    """Return the names of label columns beside the user's columns, which keep theirs."""
    names = {}
    for column in labels.column_names:
        label = column
        while label in taken:
            label = f"raycluster_{label}"
        if column != "id":
            names[column] = label
    return names


def _schema(store: Store, names: list[str], id_column: str, is_numbered: bool, id_type: pa.DataType) -> pa.Schema:
    """Return the columns of all files together."""
    schemas = []
    for name in names:
        with store.parquet(name) as file:
            schema = file.schema_arrow.remove_metadata()
        where = store.name(name)
        if not (is_numbered and id_column not in schema.names):
            require_columns(schema, [id_column], where)
        for column in schema.names:
            if schema.names.count(column) > 1:
                raise InputError(f"{where} has {schema.names.count(column)} columns named '{column}'.")
        for column in hive_values(name):
            if column not in schema.names:
                schema = schema.append(pa.field(column, pa.string()))
        schemas.append(schema)
    if len({schema.field(id_column).type for schema in schemas if id_column in schema.names}) > 1:
        # Ids that the run compares may have types that Arrow does not widen, or not to one that holds them.
        schemas = [_with_type(schema, id_column, id_type) for schema in schemas]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(
            f"The files of {store.url} do not fit into one table: {' '.join(str(error).split())}."
        ) from error


def _with_type(schema: pa.Schema, column: str, kind: pa.DataType) -> pa.Schema:
    """Return a schema whose column, if it has it, is of another type."""
    place = schema.get_field_index(column)
    return schema if place < 0 else schema.set(place, pa.field(column, kind))
