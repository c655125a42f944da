"""What a stage of the pipeline declares, and what one task of it returns.

A stage is a pure function on arrays. It sees the world through `Tables`, whatever lies behind them: a run folder on disk
or in object storage, or arrays in memory. The runner (`raycluster.pipeline.run`) skips what is done, runs what is left and
records it. Neither the runner nor the dry run names a stage.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from raycluster.config.stages import Config
from raycluster.storage.schemas import bytes_per_row
from raycluster.storage.tables import Facts, Output, Tables, Task

ShardFunction = Callable[[Task], Output]
"""Computes one task of a stage. The same task gives the same rows wherever and whenever it runs."""


@dataclass(frozen=True)
class ProblemSize:
    """The sizes that costs depend on."""

    rows: int
    """Rows that take part, N."""
    width: int
    """Coordinates per vector, D."""
    pieces: int
    """Parts in which the input is read."""
    shards: int
    """Row shards."""
    edges: float
    """Edges stored for all rows: those in force and those in reserve."""
    links: float
    """Edges in force."""
    share: float | None = None
    """Share of all rows that a search through inverted lists compares with a row; none where it was not measured."""
    threads: int = 1
    """Threads of one worker."""

    @property
    def rows_per_shard(self) -> int:
        """Rows of the largest row shard."""
        return -(-self.rows // self.shards)


@dataclass(frozen=True)
class Cost:
    """What a stage takes for one problem size.

    Work is counted in a unit of the stage's own: only its growth matters.
    """

    tasks: int | None = None
    """Tasks it is cut into; none means one per row shard."""
    once: float = 0.0
    """Work that the driver does once."""
    work: float = 0.0
    """Work of all tasks together."""
    once_rate: float = 0.0
    """Seconds per unit of `once` on two cores of an EPYC (Zen 4), for a dry run that measures nothing."""
    rate: float = 0.0
    """Seconds per unit of `work` on the same two cores."""
    driver_bytes: float = 0.0
    """Peak memory of the driver, beyond libraries and memory maps."""
    driver_limit_bytes: float | None = None
    """Memory of the driver that the configuration allows; none means all there is."""
    worker_bytes: float = 0.0
    """Peak memory of one worker process, beyond libraries and memory maps."""
    stored_rows: float | None = None
    """Rows of the stage's table; none means one per row of the set."""
    copies: Mapping[str, float] = field(default_factory=dict)
    """Bytes of the node-local copies that its tasks read, by column: `stage.column`, or `stage.column.conversion` for converted
    values. Stages that read the same column share its copy, which goes with its last reader."""
    copies_once: Mapping[str, float] = field(default_factory=dict)
    """Bytes of the copies that `once` reads, on the driver's node. What no task reads goes before the tasks run."""
    streams: Mapping[str, float] = field(default_factory=dict)
    """Bytes that it reads from storage besides those copies, before compression, by the stage that wrote them."""
    compression: float = 1.0
    """Bytes of its table in storage over those before compression, as measured on 100,000 generated rows."""
    is_once_threaded: bool = False
    """Whether the driver's own work is spread over its threads."""
    is_threaded: bool = False
    """Whether a task is spread over the threads of its worker."""
    is_gpu_idle: bool = False
    """Whether the tasks leave a GPU idle, so that the CPUs of their workers set the pace."""
    gpu_flop: float = 0.0
    """Floating-point operations of all tasks on a GPU, where they are counted; 0 scales the CPU's rate instead."""
    assumes: str | None = None
    """What the cost leaves out, in words."""


def row_shards(tables: Tables) -> Sequence[Task]:
    """Return one task per row shard."""
    bounds = tables.bounds
    return [Task(number, start, stop) for number, (start, stop) in enumerate(itertools.pairwise(bounds))]


def shards_of_all(tables: Tables) -> Sequence[Task]:
    """Return one task per shard of all rows, copies included."""
    return [Task(number, start, stop) for number, (start, stop) in enumerate(itertools.pairwise(tables.bounds_of_all))]


def single_task(tables: Tables) -> Sequence[Task]:
    """Return one task for all rows: a global step."""
    return [Task(0, 0, tables.rows)]


def _silent(tables: Tables) -> str | None:  # noqa: ARG001
    return None


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the pipeline.

    Order, fingerprints and node-local copies follow from `reads`. A stage's results are kept as long as its settings, its
    revision and the results it reads stay the same.
    """

    name: str
    """Also its table, its folder in the run and, where it has one, its section of the configuration."""
    reads: tuple[str, ...]
    """Stages whose results it depends on."""
    writes: Callable[[Config, pa.DataType, int], pa.Schema]
    """Schema of its table, from the configuration, the type of the ids and the width of the vectors."""
    open: Callable[[Tables], ShardFunction]
    """Makes what tasks share (model, index, vectors on the GPU) and returns their function. Called once per process."""
    cost: Callable[[ProblemSize, Config], Cost]
    """What it takes, for the scheduler and for the dry run."""
    revision: int = 1
    """Raised when the results change although settings do not. Fingerprints hold it in place of the package's version."""
    settings: Callable[[Config], Any] = lambda config: None
    """The part of the configuration that changes its results."""
    is_wanted: Callable[[Config], bool] = lambda config: True
    """Whether a recipe has the stage."""
    once: Callable[[Tables], Facts] | None = None
    """Computed on the driver before the tasks, once per run. Raises for what the user can mend."""
    tasks: Callable[[Tables], Sequence[Task]] = row_shards
    """The tasks it is cut into."""
    is_global: Callable[[Config], bool] = lambda config: False
    """Whether its tasks run in the driver's process, because they hold what only the driver holds."""
    gpu: bool = False
    """Whether its workers take a GPU where the cluster has one."""
    is_scored: bool = False
    """Whether networks compute it. Their last digits depend on the kind of processor."""
    resolved: Callable[[ProblemSize, Config], Config] = lambda size, config: config
    """The configuration with what the stage chooses by size replaced by its choice, for a probe on fewer rows."""
    sizes: Callable[[Tables], Mapping[str, float]] = lambda tables: {}
    """What a finished run adds to its `ProblemSize`, by field."""
    foresee: Callable[[Tables], str | None] = _silent
    """A line on what the stage will need, and a refusal of what cannot fit, as soon as the rows are counted."""
    announce: Callable[[Tables], str | None] = _silent
    """A line before its tasks run, from what `once` found; a refusal of what does not fit now."""
    summary: Callable[[Tables], str | None] = _silent
    """A line for people when all its tasks are done."""
    numbers: Callable[[Tables], Facts] | None = None
    """What it adds to the manifest under its name."""
    headline: Callable[[Tables], Facts] | None = None
    """What it adds to the run's summary."""

    def is_alone(self, config: Config, num_tasks: int) -> bool:
        """Whether so many tasks run in the driver's process, whatever the executor."""
        return (num_tasks == 1 and not self.gpu) or self.is_global(config)

    def table_bytes(self, size: ProblemSize, config: Config, id_type: pa.DataType) -> float:
        """Return the bytes of its table before compression.

        Parameters
        ----------
        size, config
            Decide how many rows the table has, and its columns.
        id_type
            Arrow type of the ids.
        """
        rows = self.cost(size, config).stored_rows
        return (size.rows if rows is None else rows) * bytes_per_row(self.writes(config, id_type, size.width))
