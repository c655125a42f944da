"""How a run starts: a new plan in an empty folder, or the plan that is there if it is of this input and configuration.

Rows are numbered in the order of their ids, whatever file or position they come from. So a shuffled input gives the same
rows, ties and labels. The order follows from the id column alone.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raycluster._version import __version__
from raycluster.arrays import Int64
from raycluster.config.fingerprint import fingerprint
from raycluster.config.load import differences
from raycluster.config.stages import Config
from raycluster.errors import ConfigError, InputError
from raycluster.stages import STAGES
from raycluster.stages.ingest import ranks_path
from raycluster.stages.knn import require_rows, with_index
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import check_columns, plain_ids, refuse_null_ids, vector_width
from raycluster.storage.records import LAYOUT, InputDescription, Piece, Plan, PlannedInput, encode
from raycluster.storage.run_folder import RunFolder, read_plan

SHARD_BYTES = 2**28
"""Vectors of one row shard, as float32. Larger shards need more memory per worker, smaller ones more requests."""
PUBLISHED = ("MANIFEST.json", "clusters.parquet", "dropped.parquet", "labels")
"""What a finished run shows to readers."""
Say = Callable[[str], None]


def stage_folders(plan: Plan, config: Config) -> dict[str, str]:
    """Return the folder of every stage of a recipe, named by its fingerprint.

    A fingerprint covers the input and its shards, the stage's settings and revision, and the fingerprints of what it reads.
    """
    base = fingerprint(plan.input, plan.shards)
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
    if store.get("plan.json") is not None:
        plan = read_plan(store)
        if plan.input.described != described:
            raise ConfigError(f"The run folder {url} was made from another input; choose another --output.")
        config = with_index(config, plan.input.rows)
        if changed := differences(plan.config, asdict(config)):
            _replan(store, plan, config, changed, replan)
        return RunFolder(url, stage_folders), False
    if store.get("MANIFEST.json") is not None or store.files("labels"):
        raise ConfigError(f"The folder {url} holds results without a plan; choose an empty --output.")
    plan, ranks = make_plan(config, described, shards)
    say(f"{plan.input.rows:,} rows of width {plan.input.width} in {plan.shards} shards")
    for piece, rank in enumerate(ranks):
        store.put(ranks_path(plan, config, piece), _encode_ranks(rank))
    if not store.create("plan.json", encode(plan)):
        return begin(url, described, config, shards, replan, say)
    return RunFolder(url, stage_folders, plan), True


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
    require_rows(config.knn, plan.input.rows, plan.input.url)
    for published in PUBLISHED:
        store.delete(published)
    store.put("plan.json", encode({**asdict(plan), "config": asdict(config)}))


def make_plan(config: Config, described: InputDescription, shards: int | None) -> tuple[Plan, list[Int64]]:
    """Return the plan to store, and for each piece the rank (int64) of its rows in the order of ids.

    Raises InputError for missing columns, columns of unusable types, ids that are null or occur twice, and no rows.
    """
    store = Store(described.url)
    pieces: list[Piece] = []
    ids: list[pa.ChunkedArray] = []
    width = 0
    for number, file in enumerate(described.files):
        name = store.name(file.path)
        with store.parquet(file.path) as opened:
            check_columns(opened.schema_arrow, config, name)
            column = plain_ids(opened.read(columns=[config.id_column])[config.id_column])
            if ids and column.type != ids[0].type:
                raise InputError(
                    f"{name}, column '{config.id_column}' is {column.type}, but in "
                    f"{store.name(described.files[0].path)} it is {ids[0].type}."
                )
            refuse_null_ids(column, config.id_column, name)
            width = width or vector_width(opened, config.embedding_column, name)
            ids.append(column)
            pieces += _pieces(opened.metadata, number, max(1, SHARD_BYTES // (4 * max(width, 1))))
    rows = sum(piece.rows for piece in pieces)
    if rows == 0:
        raise InputError(f"The input {described.url} has no rows.")
    if width == 0:
        raise InputError(f"The input {described.url}, column '{config.embedding_column}' holds only nulls.")
    names = [store.name(file.path) for file in described.files]
    ranks = _ranks(ids, pieces, config.id_column, names)
    planned = PlannedInput(described.url, described.files, str(ids[0].type), width, rows)
    resolved = asdict(with_index(config, rows))
    return Plan(LAYOUT, __version__, resolved, planned, pieces, row_shards(rows, width, shards)), ranks


def row_shards(rows: int, width: int, shards: int | None) -> int:
    """Return the number of row shards: as asked for, or one per 256 MiB of vectors; at most one per row."""
    return min(shards or -(-rows * width * 4 // SHARD_BYTES), rows)


def _pieces(metadata: pq.FileMetaData, file: int, rows_per_piece: int) -> list[Piece]:
    """Return runs of row groups of about `rows_per_piece` rows."""
    pieces: list[Piece] = []
    first_row = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if pieces and pieces[-1].rows + rows <= rows_per_piece:
            last = pieces[-1]
            pieces[-1] = Piece(file, [*last.groups, group], last.first_row, last.rows + rows)
        elif rows:
            pieces.append(Piece(file, [group], first_row, rows))
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
    return buffer.getvalue()
