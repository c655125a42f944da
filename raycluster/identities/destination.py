"""Where an update goes: an empty folder, or one of the same update.

RUN/update.json: what the update is to do, put first and only if absent
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from raycluster.arrays import Int64
from raycluster.config.fingerprint import fingerprint
from raycluster.errors import ConfigError
from raycluster.pipeline.own_objects import require_unused
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import describe_input
from raycluster.storage.places import is_inside
from raycluster.storage.read_places import is_read
from raycluster.storage.records import encode

CLAIM = "update.json"
OWN = (
    CLAIM,
    "state.json",
    "lineage.parquet",
    "aliases.parquet",
    "clusters.parquet",
    "suggestions.parquet",
    "confirmed.parquet",
)
"""Objects that an update which has not finished may leave, beside those below `state` and `labels`."""


def require_apart(output: str, run: str, inputs: Sequence[str]) -> None:
    """Refuse an output in what the update reads.

    Parameters
    ----------
    output, run : str
        Run folders.
    inputs : sequence of str
        New rows.

    Raises
    ------
    ConfigError
        The update would write into the run or an input.
    """
    for place, name in ((run, "run"), *((url, "input") for url in inputs)):
        if is_inside(output, place) if name == "run" else is_read(output, place):
            if name == "run" and is_inside(place, output):
                raise ConfigError(f"{output} is a run folder already; choose an empty --output.")
            raise ConfigError(f"The run folder {output} lies in the {name} {place}, which it would change.")


def claimed(store: Store, record: dict[str, Any]) -> dict[str, Any] | None:
    """Take a folder for an update.

    Returns the summary where the same update finished there, else none.

    Parameters
    ----------
    store : Store
        The folder of the update.
    record : dict
        What the update is to do, as `record_of` returns it.

    Raises
    ------
    ConfigError
        The folder holds something else: files of the user's, a run, or another update, finished or under way.
    """
    if store.is_file():
        raise ConfigError(f"The output {store.url} is a file; choose a folder.")
    if store.record(CLAIM, dict[str, Any]) is None:
        if any(store.get(name) is not None for name in ("plan.json", "state.json", "MANIFEST.json")):
            raise ConfigError(f"{store.url} is a run folder already; choose an empty --output.")
        try:
            require_unused(store)
        except ConfigError:
            if store.get(CLAIM) is None:
                raise  # else another client claimed the folder meanwhile
        store.create(CLAIM, encode(record))
    if store.record(CLAIM, dict[str, Any]) != record:
        raise ConfigError(f"{store.url} is a run folder already, of another update; choose an empty --output.")
    foreign = [name for name in store.files() if name not in OWN and not name.startswith(("state/", "labels/"))]
    if "MANIFEST.json" in foreign:
        manifest = store.record("MANIFEST.json", dict[str, Any])
        assert manifest is not None, "the manifest was there a moment ago"
        return dict(manifest["summary"])
    return None


def give_back(store: Store) -> None:
    """Leave a folder as it was before it was claimed, because the update was refused."""
    store.delete(CLAIM)
    store.remove_empty_folders("")


def record_of(order: Any, run: Store, decisions: str | None, confirmed: Int64) -> dict[str, Any]:
    """Return what an update is to do: its options, and the contents of what it reads.

    Parameters
    ----------
    order : Order
        Of the update.
    run : Store
        The run that it goes on from.
    decisions : str, optional
        File with the decisions in force from now on.
    confirmed : (M,) int64
        Ids that people have confirmed.
    """
    roles = {"inputs": order.inputs, "delete": (order.delete,), "decisions": (decisions,)}
    contents = {
        role: [asdict(file) for url in urls if url is not None for file in describe_input(url).files]
        for role, urls in roles.items()
    }
    options = {name: value for name, value in asdict(order).items() if name not in (*roles, "threads")}
    if len(confirmed):
        options["confirmed"] = confirmed.tolist()
    manifest = hashlib.sha256(run.get("MANIFEST.json") or b"").hexdigest()
    return {"run": run.url, "of": fingerprint(manifest, contents, options)}
