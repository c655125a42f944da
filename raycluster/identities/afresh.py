"""Everything is clustered again, and clusters keep the ids of the run before.

Decisions and records go on as well.

    cluster --previous RUN0        the input that is named
    update RUN0 --mode full        the rows of RUN0 with those of the update, written to OUTPUT/state/input.parquet

The pipeline is that of any run; only what is published differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Bool, Int32
from raycluster.config.execution import Execution
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.identities import deciding, decisions
from raycluster.identities.confirmations import confirmed_in
from raycluster.identities.grown import Change
from raycluster.identities.incoming import Incoming, rows_of
from raycluster.identities.inheritance import NO_ID, Before, Former
from raycluster.identities.layers import loaded, saved
from raycluster.identities.published import published
from raycluster.identities.state import Records, State, from_tables
from raycluster.identities.update import Past, Updated, facts_of, update
from raycluster.pipeline.publish import described, put_row_lists
from raycluster.pipeline.run import cluster
from raycluster.storage.column_types import common_id_type
from raycluster.storage.object_store import Store
from raycluster.storage.stored_tables import StoredTables


@dataclass(frozen=True)
class Legacy:
    """What a full run takes over, and what people decided since."""

    previous: str | None = None
    """Run whose ids the clusters take over; none starts with new ids."""
    decisions: str | None = None
    """Parquet file with all decisions from now on; none keeps those of the run before."""
    columns: dict[str, Sequence[str]] = field(default_factory=dict)
    """Columns that decide, by kind, beside those of the run before."""
    on_conflict: str = "stop"
    yes: bool = False
    """Whether decisions may tie more than 10,000 rows."""


def cluster_again(
    inputs: Sequence[str],
    output: str,
    config: Config,
    execution: Execution,
    legacy: Legacy,
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the summary of a run of all rows whose clusters keep their ids.

    Parameters
    ----------
    inputs : sequence of str
        Parquet files or folders with all rows.
    output : str
        Run folder.
    config, execution : Config and Execution
        As of any run.
    legacy : Legacy
        What is taken over.
    more : dict
        What the summary holds beside the counts.

    Raises
    ------
    InputError
        Ids have another type than those of the run before, or decisions contradict each other.
    """
    former = None if legacy.previous is None else _former(legacy.previous)
    if former is not None and legacy.decisions is not None:
        decisions.read(legacy.decisions, former.ids.type)  # a mistake in the file shows before anything is computed

    def finish(tables: StoredTables, seconds: dict[str, float]) -> dict[str, Any]:
        store = tables.folder.store
        manifest = described(tables, seconds)
        manifest["files"] = put_row_lists(tables)
        fresh = from_tables(tables)
        result = taken_over(fresh, former, inputs, legacy, store.url, tables.threads)
        saved(store, None, fresh, result)
        facts = facts_of(result)
        if former is not None:
            facts |= _rows_of(fresh, former)
        summary = {
            **manifest["summary"],
            **facts,
            "previous": legacy.previous,
            "mode": "full",
            "inputs": list(inputs),
            **(more or {}),
        }
        return published(store, result, summary, manifest)

    return cluster(inputs if len(inputs) > 1 else inputs[0], output, config, execution, finish)


def _former(run: str) -> State:
    """The state of a run, with what people have confirmed there since."""
    state, confirmed = loaded(run), confirmed_in(Store(run))
    return state if confirmed is None else replace(state, confirmed=confirmed)


def taken_over(
    fresh: State, former: State | None, inputs: Sequence[str], legacy: Legacy, run: str, threads: int
) -> Updated:
    """Return a clustering with the ids, decisions and columns of a former one.

    Parameters
    ----------
    fresh : State
        As a finished run has it, with ids of its own.
    former : State
        Whose ids it takes over; none where nothing was before.
    inputs : sequence of str
        Files with the columns that decide.
    legacy : Legacy
        Decisions and columns.
    run : str
        Name of the run, for lineage.
    threads : int
        Threads. They change no result.
    """
    none = decisions.schema(fresh.ids.type).empty_table()
    in_force, names = none, deciding.named(legacy.columns)
    past = Past(Before.nothing(fresh.num_rows), Former.nothing())
    if former is not None:
        past = _past(fresh, former)
        in_force = former.records.decisions
        names = list(dict.fromkeys([*former.records.deciding, *names]))
        records = Records(none, former.records.aliases, former.records.lineage, past.former)
        row_id = past.before.row_id
        fresh = replace(fresh, row_id=row_id, next_id=former.next_id, confirmed=former.confirmed, records=records)
    if legacy.decisions is not None:
        in_force = decisions.read(legacy.decisions, fresh.ids.type)
    change = Change(
        fresh.ids.slice(0, 0),
        fresh.vectors[:0],
        np.empty(0, np.int32),
        in_force.cast(none.schema),
        _columns(fresh, former, inputs, names),
        legacy.on_conflict,
        legacy.yes,
    )
    return update(fresh, change, run, "local", threads, past)


def _columns(fresh: State, former: State | None, inputs: Sequence[str], names: Sequence[str]) -> deciding.Deciding:
    """Values of all rows: of the inputs, or of the run before where these have none."""
    if not names:
        return {}
    try:
        return deciding.values(inputs, fresh.config.id_column, names, fresh.ids)
    except InputError:
        if former is None or set(names) - set(former.records.deciding):
            raise
    place = pa.array(_places(fresh.ids, former))
    place = pc.if_else(pc.greater_equal(place, 0), place, None)
    return {name: former.records.deciding[name].take(place) for name in names}


def _places(ids: pa.Array, former: State) -> Int32:
    """The row of each id in a former clustering, -1 where there is none."""
    kind = common_id_type(ids.type, former.ids.type)
    if kind is None:
        raise InputError(f"The ids are {ids.type}, but those of the run before are {former.ids.type}.")
    return rows_of(replace(former, ids=former.ids.cast(kind)), ids.cast(kind))


def _past(fresh: State, former: State) -> Past:
    """Ids that the rows had, those of rows that are gone included."""
    place = _places(fresh.ids, former)
    is_new: Bool = place < 0
    row_id = np.where(is_new, NO_ID, former.row_id[np.maximum(place, 0)])
    ids, sizes = np.unique(former.row_id[former.is_alive & (former.row_id != NO_ID)], return_counts=True)
    row: Int32 = np.full(former.num_rows, -1, np.int32)
    row[place[~is_new]] = np.flatnonzero(~is_new)
    retired = former.records.former
    there = row[retired.row] >= 0
    before = Before(row_id, is_new, ids, sizes, former.next_id, former.confirmed)
    return Past(before, Former(row[retired.row[there]], retired.id[there]))


def _rows_of(fresh: State, former: State) -> dict[str, int]:
    """Counts of rows that are new, gone and there already."""
    same = int((_places(fresh.ids, former) >= 0).sum())
    return {"new": fresh.num_rows - same, "removed": int(former.is_alive.sum()) - same, "same": same}


def put_rows(store: Store, state: State, coming: Incoming) -> str:
    """Write the rows that a full run clusters; returns the URL of the file.

    Parameters
    ----------
    store : Store
        The new run folder.
    state : State
        The clustering so far.
    coming : Incoming
        Rows that come and go.
    """
    alive = state.is_alive.copy()
    alive[coming.removed] = False
    rows = np.flatnonzero(alive)
    width = state.vectors.shape[1]
    schema = pa.schema(
        [(state.config.id_column, state.ids.type), (state.config.embedding_column, pa.list_(pa.float32(), width))]
    )
    tables = []
    old = state.ids.take(pa.array(rows)), state.vectors[rows]
    for names, block in (old, (coming.ids.cast(state.ids.type), coming.vectors)):
        flat = pa.array(np.ascontiguousarray(block, np.float32).ravel())
        tables.append(pa.Table.from_arrays([names, pa.FixedSizeListArray.from_arrays(flat, width)], schema=schema))
    store.put_tables("state/input.parquet", tables)
    return f"{store.url}/state/input.parquet"
