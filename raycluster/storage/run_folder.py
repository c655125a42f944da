"""A run folder opened: its plan, which shards are done, and how a stage's tables are committed and read.

    RUN/plan.json                                  input files, configuration, shards; written once
    RUN/stages/STAGE/FINGERPRINT/part-S-ATTEMPT.parquet   what an attempt at shard S wrote
    RUN/stages/STAGE/FINGERPRINT/done/S.json              which attempt counts; put only if absent
    RUN/stages/STAGE/FINGERPRINT/prepared.json            what the stage found out once, before its shards
    RUN/labels/*.parquet  clusters.parquet  MANIFEST.json published when everything is done

A fingerprint covers the input, the stage's settings and every stage upstream, so a marker can never be mistaken for one
of another configuration.
"""

import dataclasses
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from raycluster._version import __version__
from raycluster.config.fingerprint import fingerprint
from raycluster.config.stages import Config
from raycluster.config.stored import stored_config
from raycluster.errors import RayclusterError, StorageError
from raycluster.storage.object_store import Store

MAX_ATTEMPTS = 6


@dataclass(frozen=True)
class Part:
    """What one shard of a stage yields: tables, a row group each, and JSON-ready facts for the marker."""

    tables: Sequence[pa.Table]
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline: row-parallel `compute` over shards after an optional global `prepare`."""

    name: str
    """Also the name of its table, its folder in the run and, where it has any, its configuration."""
    settings: Callable[[Config], Any]
    """The part of the configuration that changes what the stage writes."""
    compute: Callable[["Run", int], Part]
    """Shard number to its table. Pure: the same run and shard give the same rows, wherever it runs."""
    prepare: Callable[["Run"], dict[str, Any]] | None = None
    """Facts every shard needs, found once on the driver."""
    shards: Callable[["Run"], int] = lambda run: run.shards
    wanted: Callable[[Config], bool] = lambda config: True
    on_driver: Callable[[Config], bool] = lambda config: False
    """Whether its shards run in the driver's process, because they need what only the driver holds."""
    gpu: bool = False
    """Whether a worker of this stage takes a GPU where the cluster has them."""
    told: Callable[["Run"], str | None] = lambda run: None
    """A line on what its shards found, for people, once all are done."""


class Run:
    """A run folder. Cheap to open; every process of a job opens its own."""

    def __init__(self, url: str, stages: Sequence[Stage], threads: int = 1, plan: dict[str, Any] | None = None) -> None:
        self.store = Store(url)
        self.threads = threads
        stored = None if plan else self.store.get("plan.json")
        if plan is None and stored is None:
            raise StorageError(f"{url} holds no plan.json: no run was started there.")
        self.plan: dict[str, Any] = plan or json.loads(stored or b"")
        self.config = stored_config(self.plan["config"], self.store.name("plan.json"))
        self._stages = stages
        self._markers: dict[str, dict[int, dict[str, Any]]] = {}
        self._prepared: dict[str, dict[str, Any]] = {}

    @cached_property
    def folders(self) -> dict[str, str]:
        """The folder of every wanted stage, named by its fingerprint."""
        upstream = fingerprint(__version__, self.plan["input"], self.plan["shards"])
        folders = {}
        for stage in self._stages:
            if stage.wanted(self.config):
                upstream = fingerprint(upstream, stage.name, stage.settings(self.config))
                folders[stage.name] = f"stages/{stage.name}/{upstream}"
        return folders

    def commit(self, stage: Stage, shard: int, part: Part) -> dict[str, Any]:
        """Write a shard's table under a name of its own, then claim the shard; the loser of a race removes its own."""
        folder = self.folders[stage.name]
        key = f"{folder}/part-{shard:05d}-{uuid.uuid4().hex[:8]}.parquet"
        digest = self.store.put_tables(key, part.tables)
        rows = sum(table.num_rows for table in part.tables)
        marker = {"key": key, "rows": rows, "sha256": digest, **part.facts}
        if not self.store.create(f"{folder}/done/{shard:05d}.json", json.dumps(marker, default=_from_bytes).encode()):
            marker = self._read_marker(stage.name, shard) or marker
            if marker["key"] != key:
                self.store.delete(key)
        self._markers.setdefault(stage.name, {})[shard] = marker
        return marker

    def count_attempt(self, stage: Stage, shard: int, session: str) -> None:
        """Note that a worker starts on a shard; raises RayclusterError where it keeps killing its workers."""
        folder = f"{self.folders[stage.name]}/attempts/{session}-{shard:05d}"
        before = len(self.store.files(folder))
        if before >= MAX_ATTEMPTS:
            raise RayclusterError(
                f"Shard {shard} of stage {stage.name} has killed its worker {before} times, most likely for memory; "
                "use more --shards in a new run folder, or workers with more memory."
            )
        self.store.put(f"{folder}/{uuid.uuid4().hex[:8]}", b"")

    def _read_marker(self, stage: str, shard: int) -> dict[str, Any] | None:
        data = self.store.get(f"{self.folders[stage]}/done/{shard:05d}.json")
        return None if data is None else json.loads(data, object_hook=_to_bytes)

    def done(self, stage: Stage) -> set[int]:
        """Shards of a stage that have been claimed, asked of storage."""
        names = self.store.files(f"{self.folders[stage.name]}/done")
        return {int(name.rsplit("/", 1)[1][:5]) for name in names if name.endswith(".json")}

    def marker(self, stage: str, shard: int) -> dict[str, Any]:
        """The marker of a finished shard."""
        known = self._markers.setdefault(stage, {})
        if shard not in known:
            found = self._read_marker(stage, shard)
            if found is None:
                raise StorageError(
                    f"Shard {shard} of {stage} is gone from {self.store.url}; run the same command again."
                )
            known[shard] = found
        return known[shard]

    def table(self, stage: str, shard: int, columns: list[str] | None = None) -> pa.Table:
        """The table of a finished shard."""
        marker = self.marker(stage, shard)
        return self.store.get_table(marker["key"], marker["sha256"], columns)

    def prepared(self, stage: str) -> dict[str, Any]:
        """What a stage's `prepare` found."""
        if stage not in self._prepared:
            data = self.store.get(f"{self.folders[stage]}/prepared.json")
            if data is None:
                raise StorageError(f"{self.store.url} lost {stage}/prepared.json; run the same command again.")
            self._prepared[stage] = json.loads(data)
        return self._prepared[stage]

    def prepare(self, stage: Stage) -> None:
        """Run a stage's `prepare` unless an earlier start of this run has."""
        path = f"{self.folders[stage.name]}/prepared.json"
        if stage.prepare is not None and self.store.get(path) is None:
            self.store.put(path, json.dumps(stage.prepare(self)).encode())

    @property
    def starts(self) -> list[int]:
        """First row of every row shard, and the number of rows at the end."""
        return list(self.prepared("embeddings")["starts"])

    @property
    def shards(self) -> int:
        """How many row shards there are: those of the plan, less any that only held dropped rows."""
        return len(self.starts) - 1

    @property
    def rows(self) -> int:
        """Rows that take part: the input less what was dropped."""
        return self.starts[-1]


def _from_bytes(value: bytes) -> dict[str, str]:
    """Binary ids in a marker's JSON."""
    return {"hex": value.hex()}


def _to_bytes(value: dict[str, Any]) -> Any:
    return bytes.fromhex(value["hex"]) if value.keys() == {"hex"} else value
