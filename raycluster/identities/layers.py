"""A living clustering in storage: a first run, and per update a layer of changes.

    RUN/state/rows.parquet: new rows: id, vector, inverted list
    RUN/state/lists.parquet: rows whose neighbors or scores changed
    RUN/state/edges.parquet: edges that came, and edges that went (weight null)
    RUN/state/members.parquet: rows that stand elsewhere: whether they are alive, community, id
    RUN/state/*.parquet: decisions, aliases, lineage, rows of retired ids, pieces of identities, columns that decide
    RUN/state.json: the run before, and the digest of each file; written after them

The files of runs before are read where they lie. So an update writes what it changed, and a run stays valid whatever happens
to the updates that follow it. The layer of a full run lies on the tables of its own stages, and names no run before.
"""

import os
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array, Float32, Int32
from raycluster.config.fingerprint import fingerprint
from raycluster.config.fitted import unfitted
from raycluster.config.stages import Config
from raycluster.config.stored import stored_config
from raycluster.errors import StorageError
from raycluster.identities import members
from raycluster.identities.inheritance import Former
from raycluster.identities.state import Base, Edges, Lists, Reading, Records, State, from_tables
from raycluster.identities.update import Updated
from raycluster.pipeline.stages_of import stages_of
from raycluster.storage import schemas
from raycluster.storage.object_store import Store
from raycluster.storage.records import Plan, encode
from raycluster.storage.run_folder import read_plan

STATE = "state.json"


def saved(store: Store, previous: str | None, before: State, updated: Updated) -> int:
    """Write an update's layer; returns its bytes.

    Parameters
    ----------
    store : Store
        The new run folder.
    previous : str
        URL of the run that was updated; none for a full run.
    before : State
        The state before; of a full run, that of its stages.
    updated : Updated
        The state now, and what changed.
    """
    state, num_old = updated.state, before.num_rows
    tables = {
        "rows": _new_rows(state, num_old),
        "lists": _lists(state, np.flatnonzero(updated.is_relisted).astype(np.int32)),
        "edges": _edges(updated),
        "members": members.difference(before, state),
        "pieces": pa.table({"whole": state.whole}),
        "decisions": state.records.decisions,
        "aliases": state.records.aliases,
        "lineage": state.records.lineage,
        "former": pa.table({"row": state.records.former.row, "id": state.records.former.id}),
        "deciding": pa.table(state.records.deciding),
    }
    digests = {name: store.put_tables(f"state/{name}.parquet", [table]) for name, table in tables.items()}
    record = {
        "previous": previous,
        "beside": None if previous is None else os.path.relpath(previous, store.url) if store.is_local else None,
        "of": None if previous is None else _labels_of(Store(previous)),
        "digests": digests,
        "num_old": num_old,
        "next_id": state.next_id,
        "confirmed": state.confirmed.tolist(),
        "base": asdict(state.base),
    }
    store.put(STATE, encode(record))
    return sum(store.identity(f"state/{name}.parquet")["size"] for name in tables)


def loaded(url: str) -> State:
    """Return the state of a finished run or update.

    Raises StorageError where a file of the run, or of a run before it, is missing or damaged.
    """
    store = Store(url)
    record = store.record(STATE, dict[str, Any])
    if record is None:
        return _first(url)
    before = _first(url) if record["previous"] is None else loaded(previous_of(url))
    return _applied(before, store, record)


def previous_of(url: str) -> str:
    """Return the run that an update goes on from, also where both were moved together.

    Raises StorageError where it is gone or was computed again since.
    """
    store = Store(url)
    record = store.record(STATE, dict[str, Any])
    assert record is not None, "an update has a state"
    places = [record["previous"]]
    if record.get("beside"):
        places.append(os.path.normpath(os.path.join(store.url, record["beside"])))
    there = [place for place in places if Store(place).get("MANIFEST.json") is not None]
    if not there:
        raise StorageError(f"The update {url} reads from the run {places[0]}, which is gone; put it back.")
    for place in there:
        if record.get("of") in (None, _labels_of(Store(place))):
            return str(place)
    raise StorageError(
        f"The update {url} reads from the run {there[0]}, whose labels are others since; update that again."
    )


def _labels_of(run: Store) -> str | None:
    """What a run's labels are compared by; none where it has none."""
    manifest = run.record("MANIFEST.json", dict[str, Any])
    return None if manifest is None else fingerprint(manifest["labels"])


def is_numbered(url: str) -> bool:
    """Whether the ids of a run are row numbers, because its input has none."""
    return _plan_of(url).input.numbered


def unfitted_config(url: str) -> Config:
    """Return the configuration of a run before it was fitted to its rows."""
    plan = _plan_of(url)
    return unfitted(stored_config(plan.config, f"{url}/plan.json"), plan.unfitted)


def _plan_of(url: str) -> Plan:
    """The plan of a run, or of the full run that an update goes on from."""
    record = Store(url).record(STATE, dict[str, Any])
    if record is not None and record["previous"] is not None:
        return _plan_of(previous_of(url))
    return read_plan(Store(url))


def _first(url: str) -> State:
    """The state of a run as its stages left it."""
    with stages_of(url) as tables:
        return from_tables(tables)


def _applied(before: State, store: Store, record: dict[str, Any]) -> State:
    """The state of a run from that of the run before."""

    def read(name: str) -> pa.Table:
        return store.get_table(f"state/{name}.parquet", record["digests"][name])

    rows, former, deciding = read("rows"), read("former"), read("deciding")
    num_new, num_rows = rows.num_rows, before.num_rows + rows.num_rows
    vectors, reading = before.vectors, before.reading
    if num_new:
        vectors = np.concatenate([vectors, schemas.to_array(rows["embedding"]).astype(vectors.dtype)])
    if reading is not None:
        lists = np.concatenate([reading.lists, rows["list"].to_numpy().astype(np.int32)])
        reading = Reading(reading.centroids, lists, reading.facts)
    ids = pa.concat_arrays([before.ids, rows["id"].combine_chunks()]) if num_new else before.ids
    return replace(
        members.applied(before, read("members"), num_rows),
        ids=ids,
        vectors=vectors,
        lists=_patched(before.lists, read("lists"), num_rows),
        reading=reading,
        edges=_changed(before.edges, read("edges")),
        whole=read("pieces")["whole"].to_numpy(),
        own=None,
        next_id=record["next_id"],
        confirmed=np.array(record["confirmed"], np.int64),
        base=Base(**record["base"]),
        records=Records(
            read("decisions"),
            read("aliases"),
            read("lineage"),
            Former(former["row"].to_numpy(), former["id"].to_numpy()),
            dict(zip(deciding.column_names, deciding.columns, strict=True)),
        ),
    )


def _new_rows(state: State, num_old: int) -> pa.Table:
    vectors = np.ascontiguousarray(state.vectors[num_old:], np.float32)
    lists = np.full(len(vectors), -1, np.int32) if state.reading is None else state.reading.lists[num_old:]
    schema = pa.schema(
        [
            ("id", state.ids.type),
            ("embedding", schemas.vector(pa.float32(), state.vectors.shape[1])),
            ("list", pa.int32()),
        ]
    )
    return schemas.from_columns(schema, id=state.ids.slice(num_old), embedding=vectors, list=lists)


def _lists(state: State, rows: Int32) -> pa.Table:
    k = state.lists.neighbor.shape[1]
    columns: dict[str, Array] = {
        "row": rows,
        "neighbor": state.lists.neighbor[rows],
        "similarity": state.lists.similarity[rows],
    }
    fields = [
        ("row", pa.int32()),
        ("neighbor", schemas.vector(pa.int32(), k)),
        ("similarity", schemas.vector(pa.float32(), k)),
    ]
    if state.lists.score is not None:
        columns["score"] = state.lists.score[rows]
        fields.append(("score", schemas.vector(pa.float32(), k)))
    return schemas.from_columns(pa.schema(fields), **columns)


def _patched(before: Lists, table: pa.Table, num_rows: int) -> Lists:
    """Lists of all rows: those before, with the changed ones written over."""
    rows = table["row"].to_numpy()

    def _over(name: str, values: Array, missing: float) -> Array:
        result = np.full((num_rows, values.shape[1]), missing, values.dtype)
        result[: len(values)] = values
        if len(rows):
            result[rows] = schemas.to_array(table[name])
        return result

    score: Float32 | None = None if before.score is None else _over("score", before.score, np.nan)
    return Lists(_over("neighbor", before.neighbor, -1), _over("similarity", before.similarity, -1.0), score)


def _edges(updated: Updated) -> pa.Table:
    came, gone = updated.came, updated.gone
    weight = np.concatenate([came.weight, np.zeros(len(gone.weight), np.float32)])
    has_gone = np.arange(len(weight)) >= len(came.weight)
    return pa.table(
        {
            "source": np.concatenate([came.source, gone.source]),
            "target": np.concatenate([came.target, gone.target]),
            "weight": pa.array(weight, mask=has_gone),
        }
    )


def _changed(before: Edges, table: pa.Table) -> Edges:
    is_gone = table["weight"].is_null().to_numpy()
    source, target = table["source"].to_numpy(), table["target"].to_numpy()
    changed = Edges(source, target, table["weight"].fill_null(0).to_numpy())
    kept = before.only(~np.isin(before.key(), changed.only(is_gone).key()))
    return kept.with_others(changed.only(~is_gone))
