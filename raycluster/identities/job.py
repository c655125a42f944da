"""An update from run folder to run folder."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from raycluster.config.execution import Execution
from raycluster.config.stages import Config
from raycluster.errors import InputError, RayclusterError
from raycluster.executors.progress import Progress
from raycluster.executors.sizing import own_threads
from raycluster.identities import deciding, decisions
from raycluster.identities.advice import OTHER_MODEL, why_again, why_at_once
from raycluster.identities.afresh import Legacy, cluster_again, put_rows
from raycluster.identities.confirmations import confirmed_in
from raycluster.identities.corrections import FILE
from raycluster.identities.destination import claimed, give_back, record_of, require_apart
from raycluster.identities.grown import Change
from raycluster.identities.incoming import Incoming, incoming
from raycluster.identities.layers import is_numbered, loaded, previous_of, saved, unfitted_config
from raycluster.identities.published import published
from raycluster.identities.state import State
from raycluster.identities.update import facts_of, update
from raycluster.models.requirements import has_other_model
from raycluster.pipeline.own_objects import require_unused
from raycluster.pipeline.results import Results
from raycluster.storage.object_store import Store
from raycluster.storage.places import plain_url


@dataclass(frozen=True)
class Order:
    """What an update is to take in."""

    inputs: tuple[str, ...] = ()
    """Parquet files or folders with new rows. A row whose id is there replaces it."""
    delete: str | None = None
    """Parquet file with the ids of rows to remove."""
    decisions: str | None = None
    """Parquet file with all decisions from now on; none keeps those of the run."""
    mode: Literal["local", "attach", "full"] = "local"
    columns: dict[str, Sequence[str]] = field(default_factory=dict)
    """Columns that decide, by kind (`deciding.KINDS`), beside those of the run."""
    on_conflict: str = "stop"
    yes: bool = False
    """Whether decisions may tie more than 10,000 rows."""
    on_bad_row: Literal["error", "drop"] | None = None
    """What becomes of a new row without a unit vector; none means as in the run."""
    threads: int = field(default_factory=own_threads)


def update_run(run: str, output: str, order: Order) -> dict[str, Any]:
    """Update a finished run into a new folder; returns the summary.

    The old run stays as it is, and the new one reads from it. The manifest is written last, so that an interrupted update
    leaves a folder without one, which the same command writes again. Where it has finished, nothing is left to do.

    Parameters
    ----------
    run : str
        A finished run, or the folder of an earlier update.
    output : str
        Folder of the new one.
    order : Order
        Rows and decisions.

    Raises
    ------
    InputError
        There is no finished run, nothing to do, or the input cannot be used.
    ConfigError
        The output is not empty, or lies in what is read.
    """
    began = time.perf_counter()
    order = replace(order, inputs=tuple(map(plain_url, order.inputs)))
    store, old = Store(output), Store(run)
    Results.of(run).verify()
    require_apart(store.url, old.url, order.inputs)
    if order.mode == "full" and store.get("plan.json") is None:
        require_unused(store)
    state = loaded(run)
    pending, confirmed = _pending(old, state, order), confirmed_in(old)
    is_same = confirmed is None or np.array_equal(confirmed, state.confirmed)
    if pending is None and is_same and order.mode != "full" and not (order.inputs or order.delete or order.columns):
        raise InputError("There is nothing to update: name INPUT, --delete, --decisions or a column that decides.")
    state = state if confirmed is None else replace(state, confirmed=confirmed)
    coming = incoming(state, list(order.inputs), order.delete, numbered=is_numbered(run), on_bad_row=order.on_bad_row)
    again = {"dropped": coming.num_dropped, "unknown": coming.num_unknown}
    configured = replace(unfitted_config(run), model_digest=None)
    if order.mode == "attach" and has_other_model(state.config):
        raise InputError(
            f"{run} cannot be updated by attach, because {OTHER_MODEL}; --mode full runs everything again."
        )

    def in_full(reason: str | None) -> dict[str, Any]:
        if reason is not None:
            if store.get("plan.json") is None:
                require_unused(store)
            Progress().say(f"everything is clustered again, because {reason}")
        legacy = Legacy(old.url, order.decisions or _left_in(old), order.columns, order.on_conflict, order.yes)
        rows = put_rows(store, state, coming)
        return cluster_again([rows], output, configured, Execution(), legacy, again | {"inputs": list(order.inputs)})

    reason = why_at_once(state, len(coming.ids), configured, len(coming.removed)) if order.mode == "local" else None
    if order.mode == "full" or reason is not None:
        return in_full(reason)
    change = Change(
        coming.ids,
        coming.vectors,
        coming.removed,
        pending,
        _deciding(run, state, coming, order),
        on_conflict=order.on_conflict,
        yes=order.yes,
    )
    record = record_of(order, old, order.decisions or _left_in(old), state.confirmed)
    # With a plan, it is a run in full: that of this update where the limit moves again, else another one.
    is_planned = store.get("plan.json") is not None
    if not is_planned and (finished := claimed(store, record)) is not None:
        Progress().say(f"{output} is complete")
        return finished
    try:
        result = update(state, change, store.url, order.mode, order.threads)
    except RayclusterError:
        if not is_planned:
            give_back(store)
        raise
    if order.mode == "local" and (reason := why_again(state, result.state, order.threads)) is not None:
        if not is_planned:
            give_back(store)
        return in_full(reason)
    if is_planned:
        claimed(store, record)  # names what is there
    num_bytes = saved(store, old.url, state, result)
    summary = {
        "run": store.url,
        "previous": old.url,
        "recipe": state.config.recipe,
        "mode": order.mode,
        "inputs": list(order.inputs),
        "same": coming.num_same,
        **again,
        **facts_of(result),
        "state_bytes": num_bytes,
        "seconds": round(time.perf_counter() - began, 3),
    }
    return published(store, result, summary)


def cluster_on(
    inputs: Sequence[str], output: str, config: Config, execution: Execution, legacy: Legacy
) -> dict[str, Any]:
    """Return the summary of a run under decisions, or with ids of a run before.

    Parameters
    ----------
    inputs, output, config, execution
        As of any run.
    legacy : Legacy
        What is taken over.

    Raises
    ------
    InputError
        There is no finished run before, or decisions contradict each other.
    """
    if legacy.previous is not None and legacy.decisions is None:
        legacy = replace(legacy, decisions=_left_in(Results.of(legacy.previous).store))
    return cluster_again(inputs, output, config, execution, legacy)


def _left_in(run: Store) -> str | None:
    """The file of decisions in a run folder; none where there is none."""
    return None if run.get(FILE) is None else f"{run.url}/{FILE}"


def _pending(run: Store, state: State, order: Order) -> pa.Table | None:
    """All decisions from now on; none where these are in force already."""
    url = order.decisions or _left_in(run)
    table = None if url is None else decisions.read(url, state.ids.type)
    return None if table is None or (order.decisions is None and table.equals(state.records.decisions)) else table


def _deciding(run: str, state: State, coming: Incoming, order: Order) -> deciding.Deciding:
    """Values of the columns that decide, of all rows."""
    before = state.records.deciding
    names = [name for name in deciding.named(order.columns) if name not in before]
    new = deciding.values(order.inputs, state.config.id_column, list(before), coming.ids) if len(coming.ids) else {}
    result = deciding.extended(before, new, len(coming.ids))
    if names:
        ids = pa.concat_arrays([state.ids, coming.ids])
        result |= deciding.values([*inputs_of_run(run), *order.inputs], state.config.id_column, names, ids)
    return result


def inputs_of_run(run: str) -> list[str]:
    """Return the inputs of a run and of those it reads from, the oldest first."""
    manifest = Results.of(run).manifest
    summary = manifest["summary"]
    if summary.get("mode") in ("local", "attach"):
        return [*inputs_of_run(previous_of(run)), *summary["inputs"]]
    described = manifest["input"]
    return [f"{described['url']}/{file['path']}" if file["path"] else described["url"] for file in described["files"]]


def in_words(summary: dict[str, Any]) -> str:
    """Return the summary of an update or a full run for people."""
    counts, lines = summary["lineage"], []
    if "new" in summary:
        lines = [
            f"{summary['new']:,} rows are new, {summary['removed']:,} are gone, {summary['same']:,} were there already: "
            f"{summary['clusters']:,} clusters and {summary['singletons']:,} rows alone.",
            f"{counts['unchanged']:,} clusters are unchanged, {counts['merged']:,} merged, {counts['partitioned']:,} were "
            f"partitioned, {counts['overlapping']:,} overlap; {summary['changed_ids']:,} rows have another id.",
        ]
    if summary.get("dropped"):
        lines.append(f"{summary['dropped']:,} new rows had no usable vector and are left out.")
    if summary.get("unknown"):
        lines.append(f"{summary['unknown']:,} ids to delete are not there.")
    if summary.get("decisions_left_out"):
        lines.append(
            f"{summary['decisions_left_out']:,} decisions have no effect: their rows are not there, or newer ones contradict."
        )
    if summary["mode"] != "full":
        lines.append(
            f"{summary['searched']:,} rows were searched, {summary['dirty']:,} old rows have new neighbors, "
            f"{summary['touched']:,} were touched; solved in {summary['rounds']} rounds."
        )
    if summary.get("suggestions"):
        lines.append(
            f"{summary['suggestions']:,} merges of confirmed clusters are left out; suggestions.parquet has them."
        )
    if summary["rebase"]:
        lines.append(f"Run everything again soon: {'; '.join(summary['rebase'])}.")
    return "\n".join(lines)
