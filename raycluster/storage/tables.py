"""Tables: how a stage reads what stages before it wrote, and how the runner records what a stage wrote.

`StoredTables` lie in a run folder, on disk or in object storage, and are shared by many processes. `ArrayTables` are arrays
in this process. Stages see no difference, so every recipe runs on both.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array
from raycluster.config.stages import Config
from raycluster.storage import node_cache
from raycluster.storage.copies import Copies
from raycluster.storage.run_folder import RunFolder
from raycluster.storage.schemas import to_array

Facts = dict[str, Any]
"""JSON-ready values that a stage found out, by name."""
Columns = Mapping[str, Any]
"""numpy or Arrow columns of equal length, by name."""
Value = TypeVar("Value")
SHORTEST_LIST = 2
"""Ranks of the shortest neighbor list: the row itself and one other, or none in a set of one row."""


@dataclass(frozen=True)
class Task:
    """One unit of a stage's work: rows start..stop of a shard, or one trial of a global step."""

    number: int
    start: int
    stop: int

    @property
    def rows(self) -> slice:
        """The rows of all rows that the task covers."""
        return slice(self.start, self.stop)

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Output:
    """What one task returns: blocks of columns, one row group each, and facts for its marker."""

    blocks: Sequence[Columns]
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Conversion:
    """A function of a column's values that is applied once and kept, such as similarities to edge probabilities.

    `tag` names it and all its parameters: two conversions with one tag are the same.
    """

    tag: str
    function: Callable[[Array], Array]


class Tables(Protocol):
    """What stages see."""

    threads: int
    """Threads that this process may use."""

    @property
    def config(self) -> Config:
        """The configuration, with neighbor lists no longer than distinct rows allow."""
        ...

    @property
    def rows(self) -> int:
        """Rows that take part, N: all rows, or the distinct ones once copies are found."""
        ...

    @property
    def width(self) -> int:
        """Coordinates per vector, D."""
        ...

    @property
    def id_type(self) -> pa.DataType:
        """Arrow type of the ids."""
        ...

    @property
    def name(self) -> str:
        """What the rows came from, for messages."""
        ...

    @property
    def bounds(self) -> Sequence[int]:
        """First row of every row shard, and N."""
        ...

    @property
    def bounds_of_all(self) -> Sequence[int]:
        """First row of every shard of all rows, copies included, and their number."""
        ...

    @property
    def copies(self) -> Copies | None:
        """Which rows are copies; none before they are found, where they are kept, and where there are none."""
        ...

    def ids(self, task: Task) -> pa.ChunkedArray:
        """Ids of a shard of all rows, copies included."""
        ...

    def is_given(self, stage: str) -> bool:
        """Whether a stage's results were there before the run, so that nothing of it is left to do."""
        ...

    def facts(self, stage: str) -> Facts:
        """What a stage found out once."""
        ...

    def task_facts(self, stage: str) -> Sequence[Facts]:
        """What every task of a finished stage found out, in the order of tasks."""
        ...

    def column(self, stage: str, name: str, dtype: str | None = None, conversion: Conversion | None = None) -> Array:
        """A column of all rows, (N,) or (N, width): a memory map, or the array itself. Never written to."""
        ...

    def blocks(self, stage: str, names: Sequence[str]) -> Iterator[dict[str, Array]]:
        """Columns of a finished stage, task by task."""
        ...

    def block(self, stage: str, task: int, names: Sequence[str]) -> dict[str, Array]:
        """Columns that one task of a stage wrote."""
        ...

    def shared(self, key: object, make: Callable[[], Value]) -> Value:
        """The value that `make` returned in this process the first time: an index, a model, vectors on a GPU."""
        ...

    def cluster_subset(self, vectors: Array, config: Config) -> Array:
        """Community int32 (M,) of unit rows (M, D), taken as a set of their own through the same stages."""
        ...

    def put_array(self, stage: str, name: str, values: Array) -> str:
        """Record an array that a stage computed once; returns its digest, which belongs in the stage's facts."""
        ...

    def array(self, stage: str, name: str, digest: str) -> Array:
        """The array that `put_array` recorded, checked against its digest."""
        ...

    def put_facts(self, stage: str, facts: Facts) -> None:
        """Record what a stage found out once."""
        ...

    def has_facts(self, stage: str) -> bool:
        """Whether a stage's `once` has run."""
        ...

    def finished(self, stage: str) -> set[int]:
        """Numbers of the tasks that are done."""
        ...

    def commit(self, stage: str, task: Task, output: Output, schema: pa.Schema) -> None:
        """Record what a task returned. Where two processes ran the same task, one of their results counts."""
        ...


def for_all(tables: Tables, values: Array) -> Array:
    """Return the values of all rows, copies included, from those of the rows that take part (N, ...)."""
    return values if tables.copies is None else tables.copies.for_all(values)


def shortened(config: Config, rows: int) -> Config:
    """Return the configuration with neighbor lists that N distinct rows can fill."""
    k, nearest = min(config.knn.k, max(rows - 1, SHORTEST_LIST)), config.density.nearest
    density = replace(config.density, nearest=None if nearest is None else min(nearest, k))
    return replace(config, knn=replace(config.knn, k=k), density=density)


SubsetRunner = Callable[[Array, Config, int], Array]
"""Unit rows (M, D), configuration and threads to communities (M,); the runner hands itself in here."""


class _Shared:
    """Values that live as long as the process works on these tables."""

    def __init__(self) -> None:
        self._values: dict[object, Any] = {}

    def shared(self, key: object, make: Callable[[], Value]) -> Value:
        if key not in self._values:
            self._values[key] = make()
        value: Value = self._values[key]
        return value


class StoredTables(_Shared):
    """Tables of a run folder. Cheap to open; every process of a job opens its own."""

    def __init__(self, folder: RunFolder, threads: int, subset_runner: SubsetRunner) -> None:
        super().__init__()
        self.folder, self.threads = folder, threads
        self._subset_runner = subset_runner
        self._collapsed: Copies | None = None
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

        def build() -> Array:
            if stage == "ingest":
                shards, rows = len(self.bounds_of_all) - 1, self.bounds_of_all[-1]
                first = None if copies is None else copies.first
                return node_cache.scattered(self.folder, name, dtype or "float32", shards, rows, first)
            return node_cache.joined(self.folder, stage, name, self.bounds, dtype, convert, tag)

        return self.shared(key, build)

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
        self.folder.put_facts(stage, facts)

    def has_facts(self, stage: str) -> bool:
        return self.folder.has_facts(stage)

    def finished(self, stage: str) -> set[int]:
        return self.folder.finished(stage)

    def commit(self, stage: str, task: Task, output: Output, schema: pa.Schema) -> None:
        self.folder.commit(stage, task.number, output.blocks, output.facts, schema)


class ArrayTables(_Shared):
    """Tables of arrays in this process.

    vectors are unit rows (N, D); ids (N,) an Arrow array, none for row numbers. `columns` are results that are there already,
    by stage and column. `facts` likewise, by stage.
    """

    def __init__(
        self,
        vectors: Array,
        config: Config,
        threads: int,
        subset_runner: SubsetRunner,
        *,
        ids: pa.Array | None = None,
        name: str = "X",
        columns: Mapping[str, Mapping[str, Array]] | None = None,
        facts: Mapping[str, Facts] | None = None,
    ) -> None:
        super().__init__()
        self._config, self.threads, self.name = config, threads, name
        self._subset_runner = subset_runner
        self._ids = pa.array(np.arange(len(vectors))) if ids is None else ids
        self._blocks: dict[str, dict[int, dict[str, Array]]] = {
            "ingest": {0: {"embedding": vectors}},
            "embeddings": {0: {}},
            **{stage: {0: dict(values)} for stage, values in (columns or {}).items()},
        }
        self._given = frozenset(self._blocks)
        self._task_facts: dict[str, dict[int, Facts]] = {stage: {0: {}} for stage in self._given}
        self._facts: dict[str, Facts] = {stage: {} for stage in self._given} | dict(facts or {})
        self._arrays: dict[tuple[str, str], Array] = {}
        self._collapsed: Copies | None = None

    @property
    def config(self) -> Config:
        return self._config if self._collapsed is None else shortened(self._config, len(self._collapsed.first))

    @property
    def copies(self) -> Copies | None:
        return self._collapsed

    @property
    def rows(self) -> int:
        return self.bounds[-1]

    @property
    def width(self) -> int:
        return int(self._blocks["ingest"][0]["embedding"].shape[1])

    @property
    def id_type(self) -> pa.DataType:
        return self._ids.type

    @property
    def bounds(self) -> Sequence[int]:
        return self.bounds_of_all if self._collapsed is None else self._collapsed.bounds(self.bounds_of_all)

    @property
    def bounds_of_all(self) -> Sequence[int]:
        return [0, len(self._blocks["ingest"][0]["embedding"])]

    def ids(self, task: Task) -> pa.ChunkedArray:
        return pa.chunked_array([self._ids.slice(task.start, len(task))])

    def is_given(self, stage: str) -> bool:
        return stage in self._given

    def facts(self, stage: str) -> Facts:
        return self._facts[stage]

    def task_facts(self, stage: str) -> Sequence[Facts]:
        return [self._task_facts[stage][number] for number in sorted(self._task_facts[stage])]

    def column(self, stage: str, name: str, dtype: str | None = None, conversion: Conversion | None = None) -> Array:
        copies = self._collapsed

        def build() -> Array:
            values = self._blocks[stage][0][name]
            if stage == "ingest" and copies is not None:
                values = values[copies.first]
            converted = conversion.function(values) if conversion else values
            return converted if dtype is None else np.asarray(converted, dtype)

        return self.shared((stage, name, dtype, conversion.tag if conversion else None, copies is None), build)

    def blocks(self, stage: str, names: Sequence[str]) -> Iterator[dict[str, Array]]:
        for number in sorted(self._blocks[stage]):
            yield self.block(stage, number, names)

    def block(self, stage: str, task: int, names: Sequence[str]) -> dict[str, Array]:
        columns = self._blocks[stage][task]
        return {name: columns[name] for name in names}

    def cluster_subset(self, vectors: Array, config: Config) -> Array:
        return self._subset_runner(vectors, config, self.threads)

    def put_array(self, stage: str, name: str, values: Array) -> str:
        self._arrays[stage, name] = values
        return ""

    def array(self, stage: str, name: str, digest: str) -> Array:
        assert digest == "", "arrays in this process have no digest"
        return self._arrays[stage, name]

    def put_facts(self, stage: str, facts: Facts) -> None:
        self._facts[stage] = facts

    def has_facts(self, stage: str) -> bool:
        return stage in self._facts

    def finished(self, stage: str) -> set[int]:
        return set(self._blocks.get(stage, ()))

    def commit(self, stage: str, task: Task, output: Output, schema: pa.Schema) -> None:
        columns = {field.name: _column([block[field.name] for block in output.blocks], field.type) for field in schema}
        self._blocks.setdefault(stage, {})[task.number] = columns
        self._task_facts.setdefault(stage, {})[task.number] = output.facts
        if stage == "duplicates" and len(columns["row"]):
            self._collapsed = Copies.of(len(task), columns["row"], columns["original"])


def _unchanged(values: Array) -> Array:
    return values


def _column(parts: list[Any], kind: pa.DataType) -> Any:
    """Parts of a column as one, in the type of the schema: a numpy array, or an Arrow array where nulls or ids need one."""
    if isinstance(parts[0], pa.Array | pa.ChunkedArray):
        chunks = [chunk for part in parts for chunk in (part.chunks if isinstance(part, pa.ChunkedArray) else [part])]
        return pa.chunked_array(chunks).cast(kind)
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)
    value_type = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
    return np.asarray(values, value_type.to_pandas_dtype())
