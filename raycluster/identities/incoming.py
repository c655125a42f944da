"""New rows of an update: read, checked, and compared with those that are there."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Float32, Int32
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.executors.progress import Progress
from raycluster.identities.state import State
from raycluster.kernels.sorted_ids import first_twice, joined, ordered
from raycluster.kernels.unit_rows import GOOD
from raycluster.pipeline.plan import make_plan
from raycluster.stages.ids import refuse_twice
from raycluster.stages.ingest import read_piece
from raycluster.storage.column_types import common_id_type, ids_as
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import describe_input, input_files, left_out_line, refuse_null_ids


@dataclass(frozen=True)
class Incoming:
    """Rows that come and go, once those that are there already are left out."""

    ids: pa.Array
    """(M,) in the order of ids."""
    vectors: Float32
    """(M, D) of unit length."""
    removed: Int32
    """(R,) rows to be removed, those that come again with another vector included."""
    num_same: int
    """Rows of the input that are there already, with the same vector."""
    num_dropped: int
    """Rows of the input without a usable vector."""
    num_unknown: int
    """Ids to be deleted that are not there."""


def incoming(
    state: State,
    inputs: list[str],
    deleted: str | None,
    *,
    numbered: bool = False,
    on_bad_row: Literal["error", "drop"] | None = None,
) -> Incoming:
    """Return what an update changes.

    Parameters
    ----------
    state : State
        Rows so far.
    inputs : list of str
        Parquet files or folders with new rows. A row whose id is there replaces it; the same row changes nothing.
    deleted : str, optional
        Parquet file with the ids to remove, in the set's id column.
    numbered : bool
        Whether the ids of the set are row numbers: rows without ids then get the numbers that follow.
    on_bad_row : "error" or "drop", optional
        What becomes of a row without a unit vector; none means as in the run.

    Raises
    ------
    InputError
        A file cannot be read, an id is null or occurs twice, one is to be added and deleted, or vectors have another width.
    """
    config = state.config
    if on_bad_row is not None:
        config = replace(config, embeddings=replace(config.embeddings, on_bad_row=on_bad_row))
    read: list[tuple[pa.Array, Float32, int]] = []
    first = int(pc.max(state.ids).as_py()) + 1 if numbered else None
    for url in inputs:
        read.append(_read(state, config, url, first))
        first = None if first is None else first + len(read[-1][0]) + read[-1][2]
    names: list[pa.Array] = [one[0] for one in read]
    ids = pa.concat_arrays(names) if names else pa.array([], state.ids.type)
    if len(ids.unique()) < len(ids):
        raise InputError(f"An id occurs in two of the inputs {', '.join(inputs)}.")
    width = state.vectors.shape[1]
    vectors = np.concatenate([one[1] for one in read]) if read else np.empty((0, width), np.float32)
    order = pc.sort_indices(ids).to_numpy()
    ids, vectors = ids.take(pa.array(order)), vectors[order]
    row = rows_of(state, ids)
    there = np.flatnonzero(row >= 0)
    stored = vectors[there].astype(state.vectors.dtype)
    same = there[(stored == state.vectors[row[there]]).all(axis=1)]
    is_new = np.ones(len(ids), bool)
    is_new[same] = False
    removed = row[is_new & (row >= 0)]
    num_unknown = 0
    if deleted is not None:
        going = _ids_to_delete(state, deleted)
        both = pc.is_in(ids, value_set=going)
        if pc.any(both).as_py():
            raise InputError(
                f"The id {ids.filter(both)[0]} is in an input and in {deleted}; leave it out of one of them."
            )
        gone = rows_of(state, going)
        num_unknown = int((gone < 0).sum())
        removed = np.union1d(removed, gone[gone >= 0])
    kept = np.flatnonzero(is_new)
    orphans = _orphans(state, removed)
    coming = pa.concat_arrays([ids.take(pa.array(kept)), state.ids.take(pa.array(orphans))])
    order = pc.sort_indices(coming).to_numpy()
    return Incoming(
        coming.take(pa.array(order)),
        np.concatenate([vectors[kept], np.asarray(state.vectors[orphans], np.float32)])[order],
        np.union1d(removed, orphans).astype(np.int32),
        len(same),
        sum(one[2] for one in read),
        num_unknown,
    )


def _orphans(state: State, removed: Int32) -> Int32:
    """Copies that stay while their original goes: they come again as other rows."""
    gone = np.zeros(state.num_rows, bool)
    gone[removed] = True
    is_copy = state.is_alive & (state.original != np.arange(state.num_rows))
    return np.flatnonzero(is_copy & gone[state.original] & ~gone).astype(np.int32)


def rows_of(state: State, ids: pa.Array) -> Int32:
    """Return the row of each id, -1 for those that are not there."""
    alive = np.flatnonzero(state.is_alive)
    place = pc.index_in(ids, value_set=state.ids.take(pa.array(alive)))
    at = place.fill_null(-1).to_numpy(zero_copy_only=False)
    rows: Int32 = np.where(at >= 0, alive[np.maximum(at, 0)] if len(alive) else -1, -1).astype(np.int32)
    return rows


def _read(state: State, config: Config, url: str, first: int | None) -> tuple[pa.Array, Float32, int]:
    """Ids, unit rows and the number of dropped rows of one input.

    Rows without ids are numbered from `first` on; none refuses them.
    """
    described = describe_input(url)
    if (line := left_out_line(described)) is not None:
        Progress().say(line)
    plan = make_plan(config, described, 1)
    width = state.vectors.shape[1]
    if plan.input.width != width:
        raise InputError(
            f"The vectors of {url} have {plan.input.width} coordinates, but those of the run have {width}."
        )
    if plan.input.numbered and first is None:
        raise InputError(f"{url} has no column '{config.id_column}', by which its rows would be new or replace others.")
    if common_id_type(pa.type_for_alias(plan.input.id_type), state.ids.type) is None:
        raise InputError(f"The ids of {url} are {plan.input.id_type}, but those of the run are {state.ids.type}.")
    store = Store(plan.input.url)
    ids, all_ids, vectors, num_dropped = [], [], [], 0
    for piece in range(len(plan.pieces)):
        names, unit, reason = read_piece(plan, config, piece)
        taken = plan.pieces[piece]
        refuse_null_ids(names, config.id_column, store.name(plan.input.files[taken.file].path), taken.first_row)
        if plan.input.numbered and first is not None:
            names = pc.add(names, first)
        names = ids_as(names, state.ids.type, f"{url}, column '{config.id_column}'")
        all_ids.append(names)
        good = np.flatnonzero(reason == GOOD)
        ids.append(names.take(pa.array(good)).combine_chunks())
        vectors.append(unit[good])
        num_dropped += len(reason) - len(good)
    in_order, positions = ordered(joined(all_ids, state.ids.type), np.arange(plan.input.rows))
    refuse_twice(plan, config.id_column, [first_twice(in_order, positions)])
    chunks = [chunk for one in ids for chunk in (one.chunks if isinstance(one, pa.ChunkedArray) else [one])]
    return pa.concat_arrays(chunks), np.concatenate(vectors), num_dropped


def _ids_to_delete(state: State, url: str) -> pa.Array:
    column = state.config.id_column
    store, names = input_files(url)
    chunks: list[pa.Array] = []
    for name in names:
        with store.parquet(name) as file:
            if column not in file.schema_arrow.names:
                raise InputError(f"{Store(url).name(name)} has no column '{column}'; it names the rows to delete.")
            where = f"{store.name(name)}, column '{column}'"
            chunks += ids_as(file.read(columns=[column])[column], state.ids.type, where).chunks
    return pa.concat_arrays(chunks).unique() if chunks else pa.array([], state.ids.type)
