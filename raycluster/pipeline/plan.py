"""How a run starts: a new plan in an empty folder, or the plan that is there if it is of this input and configuration.

Rows are numbered in the order of their ids, whatever file or position they come from. So a shuffled input gives the same
rows, ties and labels. The order follows from the id column alone.
"""

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raycluster._version import __version__
from raycluster.arrays import Int64
from raycluster.config.fingerprint import fingerprint
from raycluster.config.load import differences
from raycluster.config.stages import Config
from raycluster.errors import ConfigError, DamagedError, InputError
from raycluster.pipeline.own_objects import require_unused, take_back
from raycluster.stages import STAGES
from raycluster.stages.ingest import ranks_path
from raycluster.stages.knn import resolved_for, shortened_line
from raycluster.storage.column_types import common_id_type, id_type_of, plain_ids, require_columns
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import left_out_line, refuse_null_ids, vector_width
from raycluster.storage.records import LAYOUT, SEALED, InputDescription, Piece, Plan, PlannedInput, encode, seal
from raycluster.storage.run_folder import RunFolder, read_plan
from raycluster.storage.vector_columns import VectorSource

SHARD_BYTES = 2**28
"""Vectors of one row shard, as float32. Larger shards need more memory per worker, smaller ones more requests."""
Say = Callable[[str], None]


def stage_folders(plan: Plan, config: Config) -> dict[str, str]:
    """Return the folder of every stage of a recipe, named by its fingerprint.

    A fingerprint covers the input and its shards, the stage's settings and revision, and the fingerprints of what it reads.
    """
    base = fingerprint(plan.input.identity, plan.shards)
    prints: dict[str, str] = {}
    for stage in STAGES:
        if stage.is_wanted(config):
            read = [prints[name] for name in stage.reads if name in prints]
            prints[stage.name] = fingerprint(base, stage.name, stage.revision, stage.settings(config), read)
    return {name: f"stages/{name}/{value}" for name, value in prints.items()}


def begin(
    url: str, described: InputDescription, config: Config, shards: int | None, replan: bool, say: Say
) -> tuple[RunFolder, bool]:
    """Return the run at `url` and whether this call planned it.

    Raises ConfigError where the folder belongs to another input, or to another configuration and `replan` is false.
    """
    store = Store(url)
    if (line := left_out_line(described)) is not None:
        say(line)
    data = store.get("plan.json")
    if data is not None and not _is_damaged(store, data, say):
        return _go_on(store, described, config, replan, say), False
    if data is None:
        require_unused(store)
    plan, ranks = make_plan(config, described, shards)
    if plan.input.numbered:
        say(f"no file has a column '{config.id_column}': row numbers, in the order of files, are the ids")
    _say_shortened(config, plan.input.rows, say)
    say(f"{plan.input.rows:,} rows of width {plan.input.width} in {plan.shards} shards")
    for piece, rank in enumerate(ranks):
        store.put(ranks_path(plan, config, piece), _encode_ranks(rank))
    if data is not None:
        store.put("plan.json", encode(plan))
    elif not store.create("plan.json", encode(plan)):
        return begin(url, described, config, shards, replan, say)
    return RunFolder(url, stage_folders, plan), True


def _is_damaged(store: Store, data: bytes, say: Say) -> bool:
    """Whether a plan of ours is damaged.

    It is made again from the input and the configuration.
    """
    try:
        read_plan(store)
    except DamagedError as error:
        if not data.startswith(SEALED):
            raise
        say(f"{str(error).rstrip('.')}: it is made again")
        return True
    return False


def _say_shortened(config: Config, rows: int, say: Say) -> None:
    if (line := shortened_line(config, resolved_for(config, rows), rows)) is not None:
        say(line)


def _go_on(store: Store, described: InputDescription, config: Config, replan: bool, say: Say) -> RunFolder:
    """Return the run that a folder holds. The same files at another place are the same input, read from there."""
    plan = read_plan(store)
    if plan.input.files != described.files:
        raise ConfigError(f"The run folder {store.url} was made from another input; choose another --output.")
    if plan.input.url != described.url:
        plan = replace(plan, input=replace(plan.input, url=described.url))
        store.put("plan.json", encode(plan))
    _say_shortened(config, plan.input.rows, say)
    config = resolved_for(config, plan.input.rows)
    _restore_ranks(store, plan, config, described, say)
    if changed := differences(plan.config, asdict(config)):
        _replan(store, plan, config, changed, replan)
    return RunFolder(store.url, stage_folders)


def _restore_ranks(store: Store, plan: Plan, config: Config, described: InputDescription, say: Say) -> None:
    """Make missing ranks of rows again where input is left to read."""
    paths = [ranks_path(plan, config, piece) for piece in range(len(plan.pieces))]
    there = set(store.files(os.path.dirname(paths[0])))
    if there >= set(paths) or len(RunFolder(store.url, stage_folders, plan).finished("ingest")) == len(paths):
        return
    say("the order of ids is missing: it is made again")
    _, ranks = make_plan(config, described, plan.shards)
    for path, rank in zip(paths, ranks, strict=True):
        store.put(path, _encode_ranks(rank))


def _replan(store: Store, plan: Plan, config: Config, changed: list[str], is_allowed: bool) -> None:
    """Take back what was published and store the plan with another configuration, or refuse in one sentence."""
    columns = [name for name in ("id_column", "embedding_column") if plan.config[name] != getattr(config, name)]
    if not is_allowed or columns:
        advice = "choose another --output"
        if not columns:
            advice += ", or pass --replan to run the changed stages again"
        raise ConfigError(
            f"The run folder {store.url} was made with another configuration ({', '.join(changed)}); {advice}."
        )
    take_back(store)
    store.put("plan.json", encode({**asdict(plan), "config": asdict(config)}))


def make_plan(config: Config, described: InputDescription, shards: int | None) -> tuple[Plan, list[Int64]]:
    """Return the plan to store, and for each piece the rank (int64) of its rows in the order of ids.

    Raises InputError for missing columns, columns of unusable types, ids that are null or occur twice, and no rows.
    """
    store = Store(described.url)
    names = [store.name(file.path) for file in described.files]
    pieces: list[Piece] = []
    ids: list[pa.ChunkedArray] = []
    width, rows = 0, 0
    numbered = _is_numbered(store, described, config)
    for number, file in enumerate(described.files):
        with store.parquet(file.path) as opened:
            source = VectorSource.of(opened.schema_arrow, config.embedding_column, names[number])
            ids.append(_ids(opened, config.id_column, names[number], rows if numbered else None))
            width = width or vector_width(opened, source)
            pieces += _pieces(opened.metadata, number, rows, max(1, SHARD_BYTES // (4 * max(width, 1))))
            rows += opened.metadata.num_rows
    if rows == 0:
        raise InputError(f"The input {described.url} has no rows.")
    if width == 0:
        raise InputError(f"The input {described.url}, column '{config.embedding_column}' holds only nulls.")
    ids, kind = _widened(ids, config.id_column, names)
    ranks = _ranks(ids, pieces, config.id_column, names)
    planned = PlannedInput(
        described.url, described.files, str(kind), width, rows, left_out=described.left_out, numbered=numbered
    )
    resolved = asdict(resolved_for(config, rows))
    return Plan(LAYOUT, __version__, resolved, planned, pieces, row_shards(rows, width, shards)), ranks


def _is_numbered(store: Store, described: InputDescription, config: Config) -> bool:
    """Whether ids are row numbers: no option names an id column, and no file has the usual one."""
    if config.id_column != Config().id_column:
        return False
    for file in described.files:
        with store.parquet(file.path) as opened:
            if config.id_column in opened.schema_arrow.names:
                return False
    return True


def _ids(file: pq.ParquetFile, column: str, name: str, first: int | None) -> pa.ChunkedArray:
    """Return the ids of a file: its column, or row numbers from `first` on."""
    if first is not None:
        return pa.chunked_array([np.arange(first, first + file.metadata.num_rows)])
    require_columns(file.schema_arrow, [column], name)
    id_type_of(file.schema_arrow.field(column).type, f"{name}, column '{column}'")
    ids = plain_ids(file.read(columns=[column])[column])
    refuse_null_ids(ids, column, name)
    return ids


def _widened(
    ids: list[pa.ChunkedArray], column: str, names: Sequence[str]
) -> tuple[list[pa.ChunkedArray], pa.DataType]:
    """Return all ids in one type that holds those of every file. Raises InputError where there is none."""
    kind, first = None, 0
    for number, part in enumerate(ids):
        if len(part) == 0:
            continue
        common = part.type if kind is None else common_id_type(kind, part.type)
        if common is None:
            raise InputError(
                f"{names[number]}, column '{column}' is {part.type}, but in {names[first]} it is {ids[first].type}."
            )
        first = number if kind is None else first
        kind = common
    assert kind is not None, "an input without rows is refused before"
    return [part.cast(kind) if len(part) else pa.chunked_array([], kind) for part in ids], kind


def row_shards(rows: int, width: int, shards: int | None) -> int:
    """Return the number of row shards: as configured, or one per 256 MiB of vectors; at most one per row."""
    return min(shards or -(-rows * width * 4 // SHARD_BYTES), rows)


def _pieces(metadata: pq.FileMetaData, file: int, offset: int, rows_per_piece: int) -> list[Piece]:
    """Return runs of row groups of about `rows_per_piece` rows."""
    pieces: list[Piece] = []
    first_row = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if pieces and pieces[-1].rows + rows <= rows_per_piece:
            last = pieces[-1]
            pieces[-1] = Piece(file, [*last.groups, group], last.first_row, last.rows + rows, last.offset)
        elif rows:
            pieces.append(Piece(file, [group], first_row, rows, offset + first_row))
        first_row += rows
    return pieces


def _ranks(ids: list[pa.ChunkedArray], pieces: list[Piece], column: str, files: Sequence[str]) -> list[Int64]:
    """Return the rank of every row in the order of ids, piece by piece. Raises InputError for an id that occurs twice."""
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
    bounds = np.cumsum([piece.rows for piece in pieces])[:-1]
    return [np.asarray(part) for part in np.split(rank, bounds)]


def _encode_ranks(ranks: Int64) -> bytes:
    """Return a piece's ranks as the bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, ranks, allow_pickle=False)
    return seal(buffer.getvalue())
