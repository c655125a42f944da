"""Tables of a run folder, on disk or in object storage, shared by many processes."""

import os
from collections.abc import Collection, Iterator, Sequence
from typing import cast

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array, Int64
from raycluster.config.fitted import shortened
from raycluster.config.stages import Config
from raycluster.errors import DamagedError
from raycluster.storage import node_cache, some_rows
from raycluster.storage.copies import Copies
from raycluster.storage.copy_file import Copy
from raycluster.storage.run_folder import RunFolder
from raycluster.storage.schemas import to_array
from raycluster.storage.some_rows import SomeRows
from raycluster.storage.tables import Conversion, Facts, Output, SharedValues, SubsetRunner, Task

CopyKey = tuple[str, str, str | None, str | None, bool]
"""Stage, column, type and conversion of a copy, and whether it is of all rows."""


class StoredTables(SharedValues):
    """Tables of a run folder. Cheap to open; every process of a job opens its own."""

    def __init__(self, folder: RunFolder, threads: int, subset_runner: SubsetRunner) -> None:
        super().__init__()
        self.folder, self.threads = folder, threads
        self._subset_runner = subset_runner
        self._collapsed: Copies | None = None
        self._copies: dict[CopyKey, Copy] = {}
        self._are_copies_known = "duplicates" not in folder.folders

    @property
    def config(self) -> Config:
        copies = self.copies
        return self.folder.config if copies is None else shortened(self.folder.config, len(copies.first))

    @property
    def rows(self) -> int:
        return self.bounds[-1]

    @property
    def copies(self) -> Copies | None:
        if not self._are_copies_known and self.folder.finished("duplicates"):
            self._are_copies_known = True
            if self.folder.marker("duplicates", 0).rows:
                table = self.block("duplicates", 0, ["row", "original"])
                self._collapsed = Copies.of(self.bounds_of_all[-1], table["row"], table["original"])
        return self._collapsed

    @property
    def width(self) -> int:
        return self.folder.plan.input.width

    @property
    def id_type(self) -> pa.DataType:
        return pa.type_for_alias(self.folder.plan.input.id_type)

    @property
    def name(self) -> str:
        return self.folder.plan.input.url

    @property
    def bounds(self) -> Sequence[int]:
        copies = self.copies
        return self.bounds_of_all if copies is None else copies.bounds(self.bounds_of_all)

    @property
    def bounds_of_all(self) -> Sequence[int]:
        return list(self.facts("embeddings")["starts"])

    def ids(self, task: Task) -> pa.ChunkedArray:
        return self.folder.table("embeddings", task.number, ["id"])["id"]

    def is_given(self, stage: str) -> bool:  # noqa: ARG002
        return False

    def facts(self, stage: str) -> Facts:
        return self.folder.facts(stage)

    def task_facts(self, stage: str) -> Sequence[Facts]:
        return [self.folder.marker(stage, number).facts for number in sorted(self.folder.finished(stage))]

    def column(self, stage: str, name: str, dtype: str | None = None, conversion: Conversion | None = None) -> Array:
        # Vectors that were opened before copies were found are of all rows.
        copies = self.copies
        key = (stage, name, dtype, conversion.tag if conversion else None, copies is None)
        convert, tag = (conversion.function, conversion.tag) if conversion else (_unchanged, "")

        def build() -> Copy:
            if stage == "ingest":
                shards, rows = len(self.bounds_of_all) - 1, self.bounds_of_all[-1]
                first = None if copies is None else copies.first
                return node_cache.scattered(
                    self.folder, name, dtype or "float32", shards, rows, first, threads=self.threads
                )
            return node_cache.joined(self.folder, stage, name, self.bounds, dtype, convert, tag, threads=self.threads)

        copy = self._copies.get(key)
        if copy is None or not copy.is_current():
            copy = self._copies[key] = build()
        return copy.array

    def few_rows(self, stage: str, name: str, width: int, dtype: str) -> Array:
        key = (stage, name, dtype, None, self.copies is None)
        plain = (stage, name, None, None, self.copies is None)
        for copy in (self._copies.get(key), self._copies.get(plain)):
            if copy is not None and copy.array.dtype == dtype and copy.is_current():
                return copy.array
        # it is indexed as an array of all rows
        return cast("Array", self.shared(("few rows", *key), lambda: self._few_rows(stage, name, width, dtype)))

    def _few_rows(self, stage: str, name: str, width: int, dtype: str) -> SomeRows:
        bounds, copies = self.bounds, self.copies
        whole = bounds[-1] * width * np.dtype(dtype).itemsize

        def read(rows: Int64, rank: int | None) -> Array:
            values = np.empty((len(rows), width) if rank is None else len(rows), dtype)

            def place(at: Array, block: Array) -> None:
                values[at] = block if rank is None else block[:, rank]

            if stage == "ingest":
                first = rows if copies is None else copies.first[rows]
                some_rows.each_piece(self.folder, name, first, place, self.threads, whole)
            else:
                some_rows.each_shard(self.folder, stage, name, bounds, rows, place, self.threads, whole)
            return values

        return SomeRows((bounds[-1], width), read)

    def _require_unchanged(self) -> None:
        """Raise DamagedError where a copy was written to while a task read it."""
        for key, copy in list(self._copies.items()):
            if not copy.is_current():
                del self._copies[key]
                self.forget_shared()
                raise DamagedError(f"{copy.path} was changed or damaged.")

    def release(self, columns: Collection[str]) -> None:
        names = tuple(self.names_of(columns))
        for key, copy in list(self._copies.items()):
            if not os.path.basename(copy.path).startswith(names):
                del self._copies[key]  # an open file would keep its bytes on the disk
        node_cache.keep_copies(node_cache.name_of(self.folder), names)

    def names_of(self, columns: Collection[str]) -> list[str]:
        """Return how the names of copies of columns begin."""
        return node_cache.names_of(self.folder, columns, are_distinct=self.copies is not None)

    def blocks(self, stage: str, names: Sequence[str]) -> Iterator[dict[str, Array]]:
        for number in sorted(self.folder.finished(stage)):
            yield self.block(stage, number, names)

    def block(self, stage: str, task: int, names: Sequence[str]) -> dict[str, Array]:
        table = self.folder.table(stage, task, list(names))
        return {name: to_array(table[name]) for name in names}

    def cluster_subset(self, vectors: Array, config: Config) -> Array:
        return self._subset_runner(vectors, config, self.threads)

    def put_array(self, stage: str, name: str, values: Array) -> str:
        return self.folder.put_array(stage, name, values)

    def array(self, stage: str, name: str, digest: str) -> Array:
        return self.folder.array(stage, name, digest)

    def put_facts(self, stage: str, facts: Facts) -> None:
        self._require_unchanged()
        self.folder.put_facts(stage, facts)

    def has_facts(self, stage: str) -> bool:
        return self.folder.has_facts(stage)

    def finished(self, stage: str) -> set[int]:
        return self.folder.finished(stage)

    def record(self, stage: str, task: int) -> str:
        return self.folder.markers.record(stage, task)

    def take(self, stage: str, task: int, record: str) -> None:
        if record:
            self.folder.markers.take(stage, task, record)

    def complete(self, stage: str, num_tasks: int) -> None:
        self.folder.markers.complete(stage, num_tasks)

    def commit(self, stage: str, task: Task, output: Output, schema: pa.Schema) -> None:
        self._require_unchanged()
        self.folder.commit(stage, task.number, output.blocks, output.facts, schema)


def _unchanged(values: Array) -> Array:
    return values
