"""Markers of finished tasks: claimed once, and read by one request per stage.

    STAGE/FINGERPRINT/done/T.json     put only if absent: which attempt at task T counts
    STAGE/FINGERPRINT/markers.json    all markers of a finished stage in one object, so that readers fetch one

A listing only decides what is computed. A stage counts as finished when the marker of every task was read and its digest
is right. The index is made of markers and may be removed at any time.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import msgspec

from raycluster.errors import DamagedError
from raycluster.storage.object_store import Store
from raycluster.storage.records import Marker, decode, encode

CONNECTIONS = 32
"""Markers that are fetched at once. More finish a listing of thousands sooner and hold more connections."""
INDEX_BYTES = 2**26
"""Largest index, 64 MiB. Beyond, readers fetch the markers they need one by one."""


class Markers:
    """The markers of a run as this process has read them."""

    def __init__(self, store: Store, folders: Mapping[str, str]) -> None:
        self._store, self._folders = store, folders
        self._read: dict[tuple[str, int], Marker] = {}
        self._indexed: dict[str, set[int]] = {}

    def claim(self, stage: str, task: int, marker: Marker) -> Marker:
        """Put a marker unless the task has one; returns the one that counts.

        Parameters
        ----------
        stage, task
            The task.
        marker
            Names the part that this process wrote.
        """
        while not self._store.create(self._path(stage, task), encode(marker)):
            try:
                there = self._fetch(stage, task)
            except DamagedError:
                self._drop(stage, task)
                continue
            marker = there or marker
            break
        self._read[stage, task] = marker
        return marker

    def of(self, stage: str, task: int) -> Marker:
        """Return the marker of a finished task. Raises DamagedError where there is none."""
        if (stage, task) not in self._read:
            self._read_index(stage)
        if (stage, task) not in self._read:
            self._read[stage, task] = self._present(stage, task)
        return self._read[stage, task]

    def record(self, stage: str, task: int) -> str:
        """Return the marker of a task that this process claimed, as sealed text."""
        return encode(self.of(stage, task)).decode()

    def take(self, stage: str, task: int, record: str) -> None:
        """Take a marker from the process that claimed it, in place of a request.

        Parameters
        ----------
        stage, task
            The task.
        record
            Its marker, sealed. A marker that storage dropped since is noticed when its part is read.
        """
        self._read[stage, task] = decode(record.encode(), Marker, self._path(stage, task))

    def finished(self, stage: str) -> set[int]:
        """Return the tasks that the index holds, or those that storage lists."""
        if indexed := self._read_index(stage):
            return set(indexed)
        names = self._store.files(f"{self._folders[stage]}/done")
        return {int(name.rsplit("/", 1)[1][:5]) for name in names if name.endswith(".json")}

    def complete(self, stage: str, num_tasks: int) -> None:
        """Read the markers of all tasks of a stage, and put the index.

        Raises DamagedError where one is missing.
        """
        tasks = range(num_tasks)
        if self._read_index(stage) >= set(tasks):
            return
        left = [task for task in tasks if (stage, task) not in self._read]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for task, marker in zip(left, pool.map(lambda task: self._present(stage, task), left), strict=True):
                self._read[stage, task] = marker
        index = encode({str(task): asdict(self._read[stage, task]) for task in tasks})
        if num_tasks > 1 and len(index) <= INDEX_BYTES:
            self._store.put(self._index_path(stage), index)
            self._indexed[stage] = set(tasks)

    def refresh(self, stage: str, task: int) -> Marker:
        """Return a task's marker, read anew from its own object."""
        self._read[stage, task] = self._present(stage, task)
        return self._read[stage, task]

    def drop(self, stage: str, task: int) -> None:
        """Remove the marker of a task whose part cannot be read, its part and the index."""
        marker = self._read.pop((stage, task), None)
        if marker is not None:
            self._store.delete(marker.key)
        self._drop(stage, task)

    def _drop(self, stage: str, task: int) -> None:
        self._store.delete(self._index_path(stage))
        self._indexed.pop(stage, None)
        self._store.delete(self._path(stage, task))

    def _present(self, stage: str, task: int) -> Marker:
        try:
            marker = self._fetch(stage, task)
            if marker is None:
                raise DamagedError(f"{self._store.name(self._path(stage, task))} is missing.")
        except DamagedError:
            self._drop(stage, task)
            raise
        return marker

    def _fetch(self, stage: str, task: int) -> Marker | None:
        return self._store.record(self._path(stage, task), Marker)

    def _read_index(self, stage: str) -> set[int]:
        """Return the tasks of the index; a damaged one counts as none."""
        if not self._indexed.get(stage):
            try:
                values = self._store.record(self._index_path(stage), dict[str, Any]) or {}
            except DamagedError:
                values = {}
            markers = {int(task): msgspec.convert(value, Marker, strict=True) for task, value in values.items()}
            for task, marker in markers.items():
                self._read.setdefault((stage, task), marker)
            self._indexed[stage] = set(markers)
        return self._indexed[stage]

    def _path(self, stage: str, task: int) -> str:
        return f"{self._folders[stage]}/done/{task:05d}.json"

    def _index_path(self, stage: str) -> str:
        return f"{self._folders[stage]}/markers.json"
