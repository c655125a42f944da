"""A run folder: its plan, its finished tasks, and the tables of its stages.

    RUN/plan.json                                         input files, configuration, shards; written once
    RUN/stages/STAGE/FINGERPRINT/part-T-ATTEMPT.parquet   what an attempt at task T wrote
    RUN/stages/STAGE/FINGERPRINT/done/T.json              which attempt counts: put only if absent
    RUN/stages/STAGE/FINGERPRINT/markers.json             all markers of a finished stage.
    RUN/stages/STAGE/FINGERPRINT/facts.json               what the stage found out once, before its tasks
    RUN/labels/*.parquet  clusters.parquet  MANIFEST.json published when everything is done

A fingerprint covers the input, the stage's settings and revision, and every stage it reads. So no marker is taken for one
of another configuration.
"""

import hashlib
import io
import uuid
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster._version import __version__
from raycluster.arrays import Array
from raycluster.config.stages import Config
from raycluster.config.stored import stored_config
from raycluster.errors import ConfigError, DamagedError, RayclusterError, StorageError
from raycluster.storage.markers import Markers
from raycluster.storage.object_store import Store
from raycluster.storage.parts import chosen, decode_block, encode_part, is_whole, ranges
from raycluster.storage.records import LAYOUT, Marker, Plan, decode_unchecked, encode
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
        Where no run was started at `url`. DamagedError where its plan is damaged.
    ConfigError
        Where another layout of raycluster made the folder.
    """

    def __init__(self, url: str, folders: Folders, plan: Plan | None = None) -> None:
        self.store = Store(url)
        self.plan = plan or read_plan(self.store)
        self.config = stored_config(self.plan.config, self.store.name("plan.json"))
        self.folders = dict(folders(self.plan, self.config))
        self.markers = Markers(self.store, self.folders)
        self._facts: dict[str, dict[str, Any]] = {}

    def commit(
        self, stage: str, task: int, blocks: Sequence[Mapping[str, Any]], facts: dict[str, Any], schema: pa.Schema
    ) -> Marker:
        """Write a task's part under a name of its own, then claim the task.

        The loser of a race removes its own part.

        Parameters
        ----------
        stage, task
            Whose part it is.
        blocks
            Columns by name; a block becomes one row group.
        facts
            JSON-ready, for the marker.
        schema
            Of the part.
        """
        key = f"{self.folders[stage]}/part-{task:05d}-{uuid.uuid4().hex[:8]}.parquet"
        part = encode_part([from_columns(schema, **block) for block in blocks] or [schema.empty_table()])
        self.store.put(key, part.data)
        marker = self.markers.claim(stage, task, Marker(key, part.rows, part.sha256, part.blocks, facts))
        if marker.key != key:
            self.store.delete(key)
        return marker

    def count_attempt(
        self, stage: str, task: int, session: str, node: str = "", live_nodes: Callable[[], Set[str]] = frozenset
    ) -> None:
        """Note that a worker starts on a task.

        Parameters
        ----------
        stage, task
            The task.
        session
            One start of the job.
        node
            Id of the worker's node; empty where there is none.
        live_nodes
            Ids of the nodes that live now. An attempt whose node is gone was the node's end, and does not count.

        Raises
        ------
        RayclusterError
            Where the task keeps killing its workers.
        """
        folder = f"{self.folders[stage]}/attempts/{session}-{task:05d}"
        names = self.store.files(folder)
        before = len(names)
        if before >= MAX_ATTEMPTS and node:
            live = live_nodes()
            before = sum(name.rpartition("-")[2] in live for name in names)
        if before >= MAX_ATTEMPTS:
            raise RayclusterError(
                f"Shard {task} of stage {stage} has killed its worker {before} times, most likely for memory; "
                "use more --shards in a new run folder, or workers with more memory."
            )
        self.store.put(f"{folder}/{uuid.uuid4().hex[:8]}{f'-{node}' if node else ''}", b"")

    def finished(self, stage: str) -> set[int]:
        """Return the tasks of a stage that have been claimed."""
        return self.markers.finished(stage)

    def marker(self, stage: str, task: int) -> Marker:
        """Return the marker of a finished task; DamagedError where there is none."""
        return self.markers.of(stage, task)

    def table(self, stage: str, task: int, columns: list[str] | None = None, block: int | None = None) -> pa.Table:
        """Return what a finished task wrote, checked against its marker.

        Parameters
        ----------
        stage, task
            The task.
        columns
            Its columns; none means all. Only their bytes are fetched.
        block
            One block of its table; none means all.

        Raises
        ------
        DamagedError
            Where bytes are missing or others than those that were written. The task's marker is gone then.
        """
        try:
            return self._verified(self.marker(stage, task), columns, block)
        except DamagedError:
            # A reply that was damaged on its way is right the next time; a part that was computed again has another name.
            marker = self.markers.refresh(stage, task)
        try:
            return self._verified(marker, columns, block)
        except DamagedError:
            self.markers.drop(stage, task)
            raise

    def require_file(self, stage: str, task: int) -> None:
        """Check all bytes of a part that is one Parquet file.

        Where they are others, its marker is dropped, and DamagedError is raised.
        """
        marker = self.marker(stage, task)
        try:
            self.store.get_table(marker.key, marker.sha256, [])
        except DamagedError:
            self.markers.drop(stage, task)
            raise

    def _verified(self, marker: Marker, columns: list[str] | None, block: int | None) -> pa.Table:
        blocks = chosen(marker.blocks if block is None else [marker.blocks[block]], columns)
        fetched = {
            start: memoryview(self._fetch(marker.key, start, stop))
            for start, stop in ranges([chunk for pieces in blocks for chunk in pieces])
        }
        tables = []
        for pieces in blocks:
            read = []
            for chunk in pieces:
                start = max(start for start in fetched if start <= chunk.start)
                data = fetched[start][chunk.start - start : chunk.stop - start]
                if not is_whole(chunk, data):
                    raise DamagedError(f"{self.store.name(marker.key)} was changed or damaged.")
                read.append((chunk, data))
            tables.append(decode_block(read, columns))
        return pa.concat_tables(tables)

    def _fetch(self, key: str, start: int, stop: int) -> bytes:
        data = self.store.get_range(key, start, stop)
        if data is None:
            raise DamagedError(f"{self.store.name(key)} is missing.")
        return data

    def has_facts(self, stage: str) -> bool:
        """Whether a stage has recorded what it found out once; damaged counts as none."""
        try:
            self.facts(stage)
        except DamagedError:
            return False
        return True

    def facts(self, stage: str) -> dict[str, Any]:
        """Return what a stage found out once; DamagedError where there is none."""
        if stage not in self._facts:
            path = self._facts_path(stage)
            facts = self.store.record(path, dict[str, Any])
            if facts is None:
                raise DamagedError(f"{self.store.name(path)} is missing.")
            self._facts[stage] = facts
        return self._facts[stage]

    def put_facts(self, stage: str, facts: dict[str, Any]) -> None:
        """Record what a stage found out once."""
        self.store.put(self._facts_path(stage), encode(facts))

    def put_array(self, stage: str, name: str, values: Array) -> str:
        """Store an array that a stage computed once; returns the SHA-256 of its bytes.

        Parameters
        ----------
        stage, name
            What the array is called.
        values
            Any shape, and any dtype but object.
        """
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        self.store.put(self._array_path(stage, name), buffer.getvalue())
        return hashlib.sha256(buffer.getvalue()).hexdigest()

    def array(self, stage: str, name: str, digest: str) -> Array:
        """Return the array that `put_array` stored.

        Where its bytes are others, the facts that name it are removed, and DamagedError is raised.

        Parameters
        ----------
        stage, name
            As stored.
        digest
            SHA-256 of its bytes, from the stage's facts.
        """
        path = self._array_path(stage, name)
        data = self.store.get(path)
        if data is None or hashlib.sha256(data).hexdigest() != digest:
            self._facts.pop(stage, None)
            self.store.delete(self._facts_path(stage))
            raise DamagedError(f"{self.store.name(path)} {'is missing' if data is None else 'was changed or damaged'}.")
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))

    def _array_path(self, stage: str, name: str) -> str:
        return f"{self.folders[stage]}/{name}.npy"

    def _facts_path(self, stage: str) -> str:
        return f"{self.folders[stage]}/facts.json"


def read_plan(store: Store) -> Plan:
    """Return the plan stored in a run folder.

    Raises StorageError where there is none, ConfigError for another layout.
    """
    data = store.get("plan.json")
    if data is None:
        raise StorageError(f"{store.url} holds no plan.json: no run was started there.")
    values = decode_unchecked(data, store.name("plan.json"))
    if values.get("layout") != LAYOUT:
        raise ConfigError(
            f"The run folder {store.url} has layout {values.get('layout', 'none')}, made by raycluster "
            f"{values.get('version', 'of another version')}; this version ({__version__}) reads layout {LAYOUT}. "
            "Choose another --output."
        )
    plan = store.record("plan.json", Plan)
    assert plan is not None, "the plan was there a moment ago"
    return plan


def numbered_rows(run: Store) -> int | None:
    """Return the rows of a run whose ids are row numbers.

    None where its input has ids, and for updates, whose rows have other numbers.
    """
    if run.get("plan.json") is None:
        return None
    planned = read_plan(run).input
    return planned.rows if planned.numbered else None
