"""A run folder opened: its plan, which tasks are done, and how a stage's tables are committed and read.

    RUN/plan.json                                         input files, configuration, shards; written once
    RUN/stages/STAGE/FINGERPRINT/part-T-ATTEMPT.parquet   what an attempt at task T wrote
    RUN/stages/STAGE/FINGERPRINT/done/T.json              which attempt counts; put only if absent
    RUN/stages/STAGE/FINGERPRINT/facts.json               what the stage found out once, before its tasks
    RUN/labels/*.parquet  clusters.parquet  MANIFEST.json published when everything is done

A fingerprint covers the input, the stage's settings and revision, and every stage it reads, so a marker can never be
mistaken for one of another configuration.
"""

import hashlib
import io
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array
from raycluster.config.stages import Config
from raycluster.config.stored import stored_config
from raycluster.errors import ConfigError, RayclusterError, StorageError
from raycluster.storage.object_store import Store
from raycluster.storage.records import LAYOUT, Marker, Plan, decode, encode
from raycluster.storage.schemas import from_columns

MAX_ATTEMPTS = 6
"""Workers that one task may kill before the run gives up. More attempts survive more node failures; a task that needs
more memory than there is fails later."""
Folders = Callable[[Plan, Config], Mapping[str, str]]
"""Plan and configuration to the folder of every stage of the recipe, by name."""


class RunFolder:
    """A run folder. Cheap to open; every process of a job opens its own.

    Parameters
    ----------
    url
        Folder on disk or as s3://bucket/path.
    folders
        Names the folder of every stage from plan and configuration.
    plan
        The plan of a run that is about to start; none reads the stored one.

    Raises
    ------
    StorageError
        Where no run was started at `url`, or its plan is damaged.
    ConfigError
        Where another layout of raycluster made the folder.
    """

    def __init__(self, url: str, folders: Folders, plan: Plan | None = None) -> None:
        self.store = Store(url)
        self.plan = plan or read_plan(self.store)
        self.config = stored_config(self.plan.config, self.store.name("plan.json"))
        self.folders = dict(folders(self.plan, self.config))
        self._markers: dict[tuple[str, int], Marker] = {}
        self._facts: dict[str, dict[str, Any]] = {}

    def commit(
        self, stage: str, task: int, blocks: Sequence[Mapping[str, Any]], facts: dict[str, Any], schema: pa.Schema
    ) -> Marker:
        """Write a task's table under a name of its own, then claim the task. The loser of a race removes its own table."""
        folder = self.folders[stage]
        key = f"{folder}/part-{task:05d}-{uuid.uuid4().hex[:8]}.parquet"
        tables = [from_columns(schema, **block) for block in blocks] or [schema.empty_table()]
        digest = self.store.put_tables(key, tables)
        marker = Marker(key, sum(table.num_rows for table in tables), digest, facts)
        if not self.store.create(f"{folder}/done/{task:05d}.json", encode(marker)):
            marker = self._read_marker(stage, task) or marker
            if marker.key != key:
                self.store.delete(key)
        self._markers[stage, task] = marker
        return marker

    def count_attempt(self, stage: str, task: int, session: str) -> None:
        """Note that a worker starts on a task. Raises RayclusterError where the task keeps killing its workers."""
        folder = f"{self.folders[stage]}/attempts/{session}-{task:05d}"
        before = len(self.store.files(folder))
        if before >= MAX_ATTEMPTS:
            raise RayclusterError(
                f"Shard {task} of stage {stage} has killed its worker {before} times, most likely for memory; "
                "use more --shards in a new run folder, or workers with more memory."
            )
        self.store.put(f"{folder}/{uuid.uuid4().hex[:8]}", b"")

    def _read_marker(self, stage: str, task: int) -> Marker | None:
        path = f"{self.folders[stage]}/done/{task:05d}.json"
        data = self.store.get(path)
        return None if data is None else decode(data, Marker, self.store.name(path))

    def finished(self, stage: str) -> set[int]:
        """Return the tasks of a stage that have been claimed, as storage lists them."""
        names = self.store.files(f"{self.folders[stage]}/done")
        return {int(name.rsplit("/", 1)[1][:5]) for name in names if name.endswith(".json")}

    def marker(self, stage: str, task: int) -> Marker:
        """Return the marker of a finished task."""
        if (stage, task) not in self._markers:
            marker = self._read_marker(stage, task)
            if marker is None:
                raise StorageError(
                    f"Shard {task} of {stage} is gone from {self.store.url}; run the same command again."
                )
            self._markers[stage, task] = marker
        return self._markers[stage, task]

    def table(self, stage: str, task: int, columns: list[str] | None = None) -> pa.Table:
        """Return the table of a finished task, checked against its marker."""
        marker = self.marker(stage, task)
        return self.store.get_table(marker.key, marker.sha256, columns)

    def has_facts(self, stage: str) -> bool:
        """Whether a stage has recorded what it found out once."""
        return stage in self._facts or self.store.get(self._facts_path(stage)) is not None

    def facts(self, stage: str) -> dict[str, Any]:
        """Return what a stage found out once."""
        if stage not in self._facts:
            path = self._facts_path(stage)
            data = self.store.get(path)
            if data is None:
                raise StorageError(f"{self.store.url} lost {path}; run the same command again.")
            self._facts[stage] = decode(data, dict[str, Any], self.store.name(path))
        return self._facts[stage]

    def put_facts(self, stage: str, facts: dict[str, Any]) -> None:
        """Record what a stage found out once."""
        self.store.put(self._facts_path(stage), encode(facts))

    def put_array(self, stage: str, name: str, values: Array) -> str:
        """Store an array that a stage computed once; returns the SHA-256 of its bytes."""
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        self.store.put(self._array_path(stage, name), buffer.getvalue())
        return hashlib.sha256(buffer.getvalue()).hexdigest()

    def array(self, stage: str, name: str, digest: str) -> Array:
        """Return the array that `put_array` stored. Raises StorageError where its bytes are others."""
        path = self._array_path(stage, name)
        data = self.store.get(path)
        if data is None or hashlib.sha256(data).hexdigest() != digest:
            state = "is missing" if data is None else "was changed or damaged"
            raise StorageError(f"{self.store.name(path)} {state}; delete the run folder and start again.")
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))

    def _array_path(self, stage: str, name: str) -> str:
        return f"{self.folders[stage]}/{name}.npy"

    def _facts_path(self, stage: str) -> str:
        return f"{self.folders[stage]}/facts.json"


def read_plan(store: Store) -> Plan:
    """Return the plan stored in a run folder. Raises StorageError where there is none, ConfigError for another layout."""
    data, name = store.get("plan.json"), store.name("plan.json")
    if data is None:
        raise StorageError(f"{store.url} holds no plan.json: no run was started there.")
    values = decode(data, dict[str, Any], name)
    if values.get("layout") != LAYOUT:
        raise ConfigError(
            f"The run folder {store.url} was made by raycluster {values.get('version', 'of another version')}, whose "
            "layout this version cannot read; choose another --output."
        )
    return decode(data, Plan, name)
