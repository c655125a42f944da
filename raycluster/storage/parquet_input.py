"""The plan of a run: which files, which pieces to read them in, how many shards, and every id's place in the order.

Rows are numbered in the order of their ids, whatever file or position they come from: so a shuffled input gives the same
rows, ties and labels. The order is found from the id column alone.
"""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.storage.object_store import Store

SHARD_BYTES = 2**28
OBJECT_STORE_BYTES = 2**28
"""Of a local Ray, which passes shard numbers and nothing larger."""


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


def describe_input(url: str) -> dict[str, Any]:
    """What tells whether the input of a run is still the same."""
    store, names = input_files(url)
    return {"url": store.url, "files": [store.identity(name) for name in names]}


def make_plan(config: Config, described: dict[str, Any], shards: int | None) -> tuple[dict[str, Any], list[Any]]:
    """The plan to store, and for each piece the place (int64) of its rows in the order of ids.

    Raises InputError for missing columns, wrong or extension types, ids that are null or occur twice, no rows.
    """
    store = Store(described["url"])
    files = [file["path"] for file in described["files"]]
    pieces: list[dict[str, Any]] = []
    ids: list[pa.ChunkedArray] = []
    width = 0
    id_type: pa.DataType | None = None
    for number, name in enumerate(files):
        with store.parquet(name) as file:
            schema = file.schema_arrow
            check_columns(schema, config, store.name(name))
            column = plain_ids(file.read(columns=[config.id_column])[config.id_column])
            id_type = id_type or column.type
            if column.type != id_type:
                raise InputError(
                    f"{store.name(name)}, column '{config.id_column}' is {column.type}, but in "
                    f"{store.name(files[0])} it is {id_type}."
                )
            _refuse_null_ids(column, config.id_column, store.name(name))
            width = width or _width(file, config.embedding_column, store.name(name))
            ids.append(column)
            pieces += _pieces(file.metadata, number, max(1, SHARD_BYTES // (4 * max(width, 1))))
    rows = sum(piece["rows"] for piece in pieces)
    if rows == 0:
        raise InputError(f"The input {described['url']} has no rows.")
    if width == 0:
        raise InputError(f"The input {described['url']}, column '{config.embedding_column}' holds only nulls.")
    ranks = _order(ids, pieces, config.id_column, [store.name(name) for name in files])
    plan = {
        "input": {**described, "id_type": str(id_type), "width": width, "rows": rows},
        "pieces": pieces,
        "shards": row_shards(rows, width, shards),
    }
    return plan, ranks


def row_shards(rows: int, width: int, wanted: int | None) -> int:
    """Row shards of a run: as many as asked for, or one for every 256 MiB of vectors; at most one a row."""
    return min(wanted or -(-rows * width * 4 // SHARD_BYTES), rows)


def pool(shards: int, workers: int | None, nodes: int, room: int, smallest: int) -> tuple[int, int]:
    """Workers for `shards` tasks and CPUs for each, on `nodes` nodes with `room` for workers in all.

    `workers` caps them; `smallest` is the fewest CPUs a node has. Without any room, a worker a shard is asked for.
    """
    size = min(shards, workers or room or shards)
    on_one_node = -(-size // max(1, nodes))
    return size, max(1, smallest // on_one_node)


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


def _refuse_null_ids(column: pa.ChunkedArray, name: str, file: str) -> None:
    if column.null_count:
        row = pc.index(pc.is_null(column), True).as_py()
        raise InputError(f"{file}, column '{name}', row {row}: the id is null.")


def _width(file: pq.ParquetFile, column: str, name: str) -> int:
    """Length of the first vector that is there; 0 where all are null."""
    kind = file.schema_arrow.field(column).type
    row = 0
    for batch in file.iter_batches(1024, columns=[column]):
        valid = np.flatnonzero(pc.is_valid(batch.column(0)))
        if len(valid):
            fixed = pa.types.is_fixed_size_list(kind)
            width = kind.list_size if fixed else pc.list_value_length(batch.column(0))[int(valid[0])].as_py()
            if width == 0:
                raise InputError(f"{name}, column '{column}', row {row + valid[0]}: the vector has zero length.")
            return int(width)
        row += batch.num_rows
    return 0


def _pieces(metadata: pq.FileMetaData, file: int, rows_per_piece: int) -> list[dict[str, Any]]:
    """Runs of row groups of about `rows_per_piece` rows: the unit in which the input is read."""
    pieces: list[dict[str, Any]] = []
    first_row = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if pieces and pieces[-1]["rows"] + rows <= rows_per_piece:
            pieces[-1]["rows"] += rows
            pieces[-1]["groups"].append(group)
        elif rows:
            pieces.append({"file": file, "groups": [group], "first_row": first_row, "rows": rows})
        first_row += rows
    return pieces


def _order(
    ids: list[pa.ChunkedArray], pieces: list[dict[str, Any]], column: str, files: list[str]
) -> list[npt.NDArray[np.int64]]:
    joined = pa.chunked_array([chunk for part in ids for chunk in part.chunks], ids[0].type)
    order = pc.sort_indices(joined).to_numpy()
    ordered = joined.take(pa.array(order))
    same = pc.equal(ordered.slice(1), ordered.slice(0, len(ordered) - 1))
    if pc.any(same).as_py():
        at = pc.index(same, True).as_py()
        ends = np.cumsum([len(part) for part in ids])
        places = []
        for position in sorted(int(place) for place in order[at : at + 2]):
            file = int(np.searchsorted(ends, position, side="right"))
            places.append(f"{files[file]} row {position - (int(ends[file - 1]) if file else 0)}")
        raise InputError(
            f"Column '{column}' holds the id {ordered[at].as_py()!r} twice: in {places[0]} and in {places[1]}."
        )
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    bounds = np.cumsum([piece["rows"] for piece in pieces])[:-1]
    return [np.asarray(part) for part in np.split(rank, bounds)]


def encode_ranks(ranks: npt.NDArray[np.int64]) -> bytes:
    """A piece's ranks as bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, ranks, allow_pickle=False)
    return buffer.getvalue()
