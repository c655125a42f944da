"""How a run starts: with a new plan, or with the plan that its folder holds.

A stored plan serves if it is of this input and configuration.

Rows are numbered in the order of their ids, whatever file or position they come from. So a shuffled input gives the same
rows, ties and labels. The order follows from the id column alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raycluster._version import __version__
from raycluster.config.fingerprint import fingerprint
from raycluster.config.fitted import resolved_for, shortened_line, unfitted_keys
from raycluster.config.load import differences
from raycluster.config.stages import Config
from raycluster.errors import ConfigError, DamagedError, InputError
from raycluster.pipeline.own_objects import require_unused, take_back
from raycluster.stages import STAGES
from raycluster.storage.column_types import common_id_type, id_type_of, require_columns
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import left_out_line, vector_width
from raycluster.storage.records import LAYOUT, SEALED, InputDescription, Piece, Plan, PlannedInput, encode
from raycluster.storage.run_folder import RunFolder, read_plan
from raycluster.storage.vector_columns import VectorSource

SHARD_BYTES = 2**28
"""Vectors of one row shard, as float32. Larger shards need more memory per worker, smaller ones more requests."""
ID_BYTES = 2**28
"""Bytes of the ids of one row shard or piece. It counts where ids are longer than vectors: Arrow's strings end at 2 GiB."""
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
    url: str, described: InputDescription, config: Config, shards: int | None, replan: bool, show: Say
) -> tuple[RunFolder, bool]:
    """Return the run at `url` and whether this call planned it.

    Raises ConfigError where the folder belongs to another input, or to another configuration and `replan` is false.

    Parameters
    ----------
    url
        The run folder.
    described
        The input's files, and by what they are compared with those of a stored plan.
    config
        Of this call.
    shards
        Row shards of a new plan, from 1 up; None follows from the rows. No label depends on it.
    replan
        Whether a plan of another configuration is replaced and its changed stages run again.
    show : callable
        Prints a line.
    """
    store = Store(url)
    if (line := left_out_line(described)) is not None:
        show(line)
    data = store.get("plan.json")
    if data is not None and not _is_damaged(store, data, show):
        return _go_on(store, described, config, replan, show), False
    if data is None:
        try:
            require_unused(store)
        except ConfigError:
            if store.get("plan.json") is None:
                raise
            return begin(url, described, config, shards, replan, show)  # another client started the run meanwhile
    plan = make_plan(config, described, shards)
    if plan.input.numbered:
        show(f"no file has a column '{config.id_column}': row numbers, in the order of files, are the ids")
    _say_shortened(config, plan.input.rows, show)
    show(f"{plan.input.rows:,} rows of width {plan.input.width} in {plan.shards} shards")
    if data is not None:
        store.put("plan.json", encode(plan))
    elif not store.create("plan.json", encode(plan)):
        return begin(url, described, config, shards, replan, show)
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
        say(f"{error.damage}: it is made again")
        return True
    return False


def _say_shortened(config: Config, rows: int, say: Say) -> None:
    if (line := shortened_line(config, resolved_for(config, rows), rows)) is not None:
        say(line)


def _go_on(store: Store, described: InputDescription, config: Config, replan: bool, say: Say) -> RunFolder:
    """Return the run that a folder holds.

    The same files at another place are the same input, read from there.
    """
    plan = read_plan(store)
    if plan.input.files != described.files:
        raise ConfigError(f"The run folder {store.url} was made from another input; choose another --output.")
    if (plan.input.url, plan.input.states) != (described.url, described.states):
        plan = replace(plan, input=replace(plan.input, url=described.url, states=described.states))
        store.put("plan.json", encode(plan))
    _say_shortened(config, plan.input.rows, say)
    configured, config = config, resolved_for(config, plan.input.rows)
    if changed := differences(plan.config, asdict(config)):
        _replan(store, replace(plan, unfitted=unfitted_keys(configured, config)), config, changed, replan)
    return RunFolder(store.url, stage_folders)


def _replan(store: Store, plan: Plan, config: Config, changed: list[str], is_allowed: bool) -> None:
    """Take back what was published and store the plan with another configuration.

    Or refuse in one sentence.
    """
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


def make_plan(config: Config, described: InputDescription, shards: int | None) -> Plan:
    """Return the plan to store.

    Ids and vectors are not read, but for the first vector.

    Raises InputError for missing columns, columns of unusable types, and no rows.

    Parameters
    ----------
    config
        Of the run.
    described
        The input's files.
    shards
        Row shards, from 1 up; None follows from the rows.
    """
    store = Store(described.url)
    names = [store.name(file.path) for file in described.files]
    pieces: list[Piece] = []
    kinds: list[pa.DataType | None] = []
    width, rows = 0, 0
    numbered = _is_numbered(store, described, config)
    for number, file in enumerate(described.files):
        with store.parquet(file.path) as opened:
            source = VectorSource.of(opened.schema_arrow, config.embedding_column, names[number])
            kind = pa.int64() if numbered else _id_type(opened, config.id_column, names[number])
            kinds.append(kind if opened.metadata.num_rows else None)
            width = width or vector_width(opened, source)
            id_column = None if numbered else config.id_column
            pieces += _pieces(opened.metadata, number, rows, width, id_column)
            rows += opened.metadata.num_rows
    if rows == 0:
        raise InputError(f"The input {described.url} has no rows.")
    if width == 0:
        raise InputError(f"The input {described.url}, column '{config.embedding_column}' holds only nulls.")
    planned = PlannedInput(
        described.url,
        described.files,
        str(_common_type(kinds, config.id_column, names)),
        width,
        rows,
        left_out=described.left_out,
        numbered=numbered, states=described.states,
    )  # fmt: skip
    id_bytes = sum(piece.id_bytes for piece in pieces)
    resolved, cut = resolved_for(config, rows), row_shards(rows, width, shards, id_bytes)
    return Plan(LAYOUT, __version__, asdict(resolved), planned, pieces, cut, unfitted_keys(config, resolved))


def _is_numbered(store: Store, described: InputDescription, config: Config) -> bool:
    """Whether ids are row numbers.

    They are where no option names an id column, and no file has the usual one.
    """
    if config.id_column != Config().id_column:
        return False
    for file in described.files:
        with store.parquet(file.path) as opened:
            if config.id_column in opened.schema_arrow.names:
                return False
    return True


def _id_type(file: pq.ParquetFile, column: str, name: str) -> pa.DataType | None:
    """Return the type of a file's ids, none where it has no rows.

    Raises InputError where there is no such type.
    """
    require_columns(file.schema_arrow, [column], name)
    kind = id_type_of(file.schema_arrow.field(column).type, f"{name}, column '{column}'")
    if kind is None and file.metadata.num_rows:
        raise InputError(f"{name}, column '{column}', row 0: the id is null.")
    return kind


def _common_type(kinds: Sequence[pa.DataType | None], column: str, names: Sequence[str]) -> pa.DataType:
    """Return the type that holds the ids of every file.

    Raises InputError where there is none.
    """
    common, first = None, 0
    for number, kind in enumerate(kinds):
        if kind is None:
            continue
        wider = kind if common is None else common_id_type(common, kind)
        if wider is None:
            raise InputError(
                f"{names[number]}, column '{column}' is {kind}, but in {names[first]} it is {kinds[first]}."
            )
        first = number if common is None else first
        common = wider
    assert common is not None, "an input without rows is refused before"
    return common


def row_shards(rows: int, width: int, shards: int | None, id_bytes: int = 0) -> int:
    """Return the number of row shards, at most one per row.

    Parameters
    ----------
    rows, width
        Of the input.
    shards
        As configured; none means one per 256 MiB of vectors or of ids, whichever are more.
    id_bytes
        Bytes of all ids.
    """
    return min(shards or max(-(-rows * width * 4 // SHARD_BYTES), -(-id_bytes // ID_BYTES)), rows)


def _pieces(metadata: pq.FileMetaData, file: int, offset: int, width: int, id_column: str | None) -> list[Piece]:
    """Return runs of row groups that fit into a shard.

    A run holds SHARD_BYTES of vectors and ID_BYTES of ids at most. A larger row group is a run alone.

    Parameters
    ----------
    metadata, file
        The file's footer and number.
    offset
        Rows of the files before it.
    width
        Coordinates of a vector; 0 while none has been found.
    id_column
        Name of the column of ids; none where row numbers are the ids.
    """
    pieces: list[Piece] = []
    first_row = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        rows, size = group.num_rows, _id_bytes(group, id_column)
        last = pieces[-1] if pieces else None
        if last and 4 * max(width, 1) * (last.rows + rows) <= SHARD_BYTES and last.id_bytes + size <= ID_BYTES:
            pieces[-1] = replace(
                last, groups=[*last.groups, number], rows=last.rows + rows, id_bytes=last.id_bytes + size
            )
        elif rows:
            pieces.append(Piece(file, [number], first_row, rows, offset + first_row, size))
        first_row += rows
    return pieces


def _id_bytes(group: Any, id_column: str | None) -> int:
    """Return the bytes of a row group's ids before compression; 8 per row number."""
    columns = [group.column(number) for number in range(group.num_columns)]
    sizes = [column.total_uncompressed_size for column in columns if column.path_in_schema == id_column]
    return int(sum(sizes)) if id_column else 8 * int(group.num_rows)
