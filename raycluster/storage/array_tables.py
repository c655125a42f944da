"""Tables of arrays in this process."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array
from raycluster.config.fitted import shortened
from raycluster.config.stages import Config
from raycluster.storage.copies import Copies
from raycluster.storage.some_rows import SomeRows
from raycluster.storage.tables import Conversion, Facts, Output, SharedValues, SubsetRunner, Task


class ArrayTables(SharedValues):
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
            **{stage: {0: {}} for stage in ("ids", "order", "ranks", "embeddings")},
            "ingest": {0: {"embedding": vectors}},
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
            values = values[:] if isinstance(values, SomeRows) else values
            if stage == "ingest" and copies is not None:
                values = values[copies.first]
            converted = conversion.function(values) if conversion else values
            return converted if dtype is None else np.asarray(converted, dtype)

        return self.shared((stage, name, dtype, conversion.tag if conversion else None, copies is None), build)

    def few_rows(self, stage: str, name: str, width: int, dtype: str) -> Array:  # noqa: ARG002
        values = self._blocks[stage][0][name]
        return values if isinstance(values, SomeRows) else self.column(stage, name, dtype)

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

    def record(self, stage: str, task: int) -> str:  # noqa: ARG002
        return ""

    def take(self, stage: str, task: int, record: str) -> None:
        pass  # there is one process

    def complete(self, stage: str, num_tasks: int) -> None:
        assert self.finished(stage) >= set(range(num_tasks)), "a task of this process is lost"

    def release(self, columns: Collection[str]) -> None:
        """Nothing: arrays that a stage wrote stay, and have no copies."""

    def commit(self, stage: str, task: Task, output: Output, schema: pa.Schema) -> None:
        columns = {field.name: _column([block[field.name] for block in output.blocks], field.type) for field in schema}
        self._blocks.setdefault(stage, {})[task.number] = columns
        self._task_facts.setdefault(stage, {})[task.number] = output.facts
        if stage == "duplicates" and len(columns["row"]):
            self._collapsed = Copies.of(len(task), columns["row"], columns["original"])


def _column(parts: list[Any], kind: pa.DataType) -> Any:
    """Return parts of a column as one, in the type of the schema.

    It is a numpy array, or an Arrow array where nulls or ids need one.
    """
    if isinstance(parts[0], pa.Array | pa.ChunkedArray):
        chunks = [chunk for part in parts for chunk in (part.chunks if isinstance(part, pa.ChunkedArray) else [part])]
        return pa.chunked_array(chunks).cast(kind)
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)
    value_type = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
    return np.asarray(values, value_type.to_pandas_dtype())
