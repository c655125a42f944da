"""An update from run folder to run folder."""

import time
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from raycluster.errors import ConfigError, InputError
from raycluster.executors.sizing import own_threads
from raycluster.identities import decisions
from raycluster.identities.grown import Change, Mode
from raycluster.identities.incoming import incoming
from raycluster.identities.layers import loaded, saved
from raycluster.identities.published import published
from raycluster.identities.update import facts_of, update
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import input_files


@dataclass(frozen=True)
class Order:
    """What an update is to take in."""

    inputs: tuple[str, ...] = ()
    """Parquet files or folders with new rows. A row whose id is there replaces it."""
    delete: str | None = None
    """Parquet file with the ids of rows to remove."""
    decisions: str | None = None
    """Parquet file with all decisions from now on; none keeps those of the run."""
    mode: Mode = "local"
    on_conflict: str = "stop"
    yes: bool = False
    """Whether decisions may tie more than 10,000 rows."""
    threads: int = field(default_factory=own_threads)


def update_run(run: str, output: str, order: Order) -> dict[str, Any]:
    """Update a finished run into a new folder; returns the summary.

    The old run stays as it is, and the new one reads from it. The manifest is written last, so that an interrupted update
    leaves a folder without one, which the same command writes again.

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
        The output belongs to a run.
    """
    began = time.perf_counter()
    store, old = Store(output), Store(run)
    if old.get("MANIFEST.json") is None:
        raise InputError(f"{run} holds no finished run: there is no MANIFEST.json.")
    if store.url == old.url or store.get("plan.json") is not None:
        raise ConfigError(f"{output} is a run folder already; choose an empty --output.")
    if not order.inputs and order.delete is None and order.decisions is None:
        raise InputError("There is nothing to update: name INPUT, --delete or --decisions.")
    state = loaded(run)
    coming = incoming(state, list(order.inputs), order.delete)
    change = Change(
        coming.ids,
        coming.vectors,
        coming.removed,
        None if order.decisions is None else _decisions(order.decisions, state.ids.type),
        on_conflict=order.on_conflict,
        yes=order.yes,
    )
    result = update(state, change, store.url, order.mode, order.threads)
    store.delete("MANIFEST.json")
    num_bytes = saved(store, old.url, state.num_rows, result)
    summary = {
        "run": store.url,
        "previous": old.url,
        "recipe": state.config.recipe,
        "mode": order.mode,
        "same": coming.num_same,
        "dropped": coming.num_dropped,
        "unknown": coming.num_unknown,
        **facts_of(result),
        "state_bytes": num_bytes,
        "seconds": round(time.perf_counter() - began, 3),
    }
    return published(store, result, summary)


def _decisions(url: str, id_type: pa.DataType) -> pa.Table:
    store, names = input_files(url)
    tables = []
    for name in names:
        with store.parquet(name) as file:
            tables.append(decisions.checked(file.read(), id_type, store.name(name)))
    return decisions.added(decisions.schema(id_type).empty_table(), pa.concat_tables(tables))


def in_words(summary: dict[str, Any]) -> str:
    """Return the summary of an update for people."""
    counts = summary["lineage"]
    lines = [
        f"{summary['new']:,} rows are new, {summary['removed']:,} are gone, {summary['same']:,} were there already: "
        f"{summary['clusters']:,} clusters and {summary['singletons']:,} rows alone.",
        f"{counts['unchanged']:,} clusters are unchanged, {counts['merged']:,} merged, {counts['partitioned']:,} were "
        f"partitioned, {counts['overlapping']:,} overlap; {summary['changed_ids']:,} rows have another id.",
        f"{summary['searched']:,} rows were searched, {summary['dirty']:,} old rows have new neighbors, "
        f"{summary['touched']:,} were touched; solved in {summary['rounds']} rounds.",
    ]
    if summary["rebase"]:
        lines.append(f"Run everything again soon: {'; '.join(summary['rebase'])}.")
    return "\n".join(lines)
