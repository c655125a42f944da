"""Tables: what a stage reads from stages before it, and where its results go.

`StoredTables` (stored_tables.py) lie in a run folder, on disk or in object storage, and are shared by many processes.
`ArrayTables` (array_tables.py) are arrays in this process. Stages see no difference, so every recipe runs on both.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from raycluster.arrays import Array
from raycluster.config.stages import Config
from raycluster.storage.copies import Copies

Facts = dict[str, Any]
"""JSON-ready values that a stage found out, by name."""
Columns = Mapping[str, Any]
"""numpy or Arrow columns of equal length, by name."""
Value = TypeVar("Value")


@dataclass(frozen=True)
class Task:
    """One unit of a stage's work: rows of a shard, or a trial of a global step."""

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
    """What one task returns: blocks of columns, and facts for its marker.

    A block is one row group.
    """

    blocks: Sequence[Columns]
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Conversion:
    """A function of a column's values that is applied once and kept.

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
        """Which rows are copies.

        None before they are found, where they are kept, and where there are none.
        """
        ...

    def ids(self, task: Task) -> pa.ChunkedArray:
        """Ids of a shard of all rows, copies included."""
        ...

    def is_given(self, stage: str) -> bool:
        """Whether a stage was complete before the run."""
        ...

    def facts(self, stage: str) -> Facts:
        """What a stage found out once."""
        ...

    def task_facts(self, stage: str) -> Sequence[Facts]:
        """What every task of a finished stage found out, in the order of tasks."""
        ...

    def column(self, stage: str, name: str, dtype: str | None = None, conversion: Conversion | None = None) -> Array:
        """A column of all rows, (N,) or (N, width): a memory map, or the array itself.

        Never written to.

        Parameters
        ----------
        stage, name
            Whose column, and which.
        dtype
            Type of the result; None is that of the schema. `bfloat16` halves the memory of vectors.
        conversion
            Applied to the values once, and kept under its tag.
        """
        ...

    def few_rows(self, stage: str, name: str, width: int, dtype: str) -> Array:
        """A column (N, width) of which few rows are read, without a copy of all.

        Parameters
        ----------
        stage, name
            Whose column, and which.
        width, dtype
            Of its rows.
        """
        ...

    def blocks(self, stage: str, names: Sequence[str]) -> Iterator[dict[str, Array]]:
        """Columns of a finished stage, task by task."""
        ...

    def block(self, stage: str, task: int, names: Sequence[str]) -> dict[str, Array]:
        """Columns that one task of a stage wrote.

        Parameters
        ----------
        stage, task
            Whose columns.
        names
            Which columns.
        """
        ...

    def shared(self, key: object, make: Callable[[], Value]) -> Value:
        """Return the value that `make` returned in this process the first time.

        Examples are an index, a model, or vectors on a GPU.
        """
        ...

    def cluster_subset(self, vectors: Array, config: Config) -> Array:
        """Return the community int32 (M,) of unit rows (M, D).

        The rows are taken as a set of their own through the same stages.
        """
        ...

    def put_array(self, stage: str, name: str, values: Array) -> str:
        """Record an array that a stage computed once.

        Returns its digest, which belongs in the stage's facts.

        Parameters
        ----------
        stage, name
            What the array is called.
        values
            Any shape, and any dtype but object.
        """
        ...

    def array(self, stage: str, name: str, digest: str) -> Array:
        """The array that `put_array` recorded, checked against its digest.

        Parameters
        ----------
        stage, name
            As recorded.
        digest
            From the stage's facts.
        """
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

    def record(self, stage: str, task: int) -> str:
        """Return what is on record of a task that this process committed, as text."""
        ...

    def take(self, stage: str, task: int, record: str) -> None:
        """Take the record of a task from the process that committed it.

        Parameters
        ----------
        stage, task
            Whose record.
        record
            The marker as its writer has it.
        """
        ...

    def complete(self, stage: str, num_tasks: int) -> None:
        """Read the record of every task of a stage; DamagedError where one is missing."""
        ...

    def release(self, columns: Collection[str]) -> None:
        """Free the copies of all columns but these, `stage.column[.conversion]`."""
        ...

    def commit(self, stage: str, task: Task, output: Output, schema: pa.Schema) -> None:
        """Record what a task returned.

        Where two processes ran the same task, one of their results counts.

        Parameters
        ----------
        stage, task
            Whose results.
        output
            Blocks of columns, and facts.
        schema
            Of the columns.
        """
        ...


def for_all(tables: Tables, values: Array) -> Array:
    """Return the values of all rows from those of the rows that take part (N, ...).

    Copies have the value of their first row.
    """
    return values if tables.copies is None else tables.copies.for_all(values)


SubsetRunner = Callable[[Array, Config, int], Array]
"""Unit rows (M, D), configuration and threads to communities (M,); the runner hands itself in here."""


class SharedValues:
    """Values that live as long as the process works on these tables."""

    def __init__(self) -> None:
        self._values: dict[object, Any] = {}

    def shared(self, key: object, make: Callable[[], Value]) -> Value:
        if key not in self._values:
            self._values[key] = make()
        value: Value = self._values[key]
        return value

    def forget_shared(self) -> None:
        """Let go of all values, so that they are made again."""
        self._values.clear()
