"""What the stages of a run are expected to take, from the costs that they declare.

`raycluster estimate` measures the machine; this forecast takes stored rates, because it only fills a line of progress. What
stages have taken so far corrects it (`raycluster.executors.position.Outlook`).
"""

from collections.abc import Collection, Mapping, Sequence

from raycluster.config.stages import Config
from raycluster.pipeline import health
from raycluster.stages.stage import Cost, ProblemSize, Stage
from raycluster.storage.tables import Tables

EDGES_PER_ROW = 10.0
"""Edges per row that are assumed before there are any: faces of 10 to 20 rows per identity have about as many."""


def seconds_of(tables: Tables, stages: Sequence[Stage]) -> dict[str, float]:
    """Return the seconds that stages will take, by name.

    It is 0 for stages that have finished tasks.
    """
    size = size_of(tables)
    seconds = {}
    for stage in stages:
        cost = stage.cost(size, tables.config)
        is_begun = bool(tables.finished(stage.name))
        seconds[stage.name] = 0.0 if is_begun else cost.once * cost.once_rate + cost.work * cost.rate
    return seconds


def read_later(size: ProblemSize, config: Config, stages: Sequence[Stage]) -> set[str]:
    """Return the columns that the driver's node reads copies of until the end.

    Parameters
    ----------
    size, config
        Of the run.
    stages
        Those that are left, in order.
    """
    costs = [stage.cost(size, config) for stage in stages]
    return {column for cost in costs for column in (*cost.copies, *cost.copies_once)} | set(health.copies(size, config))


def read_by_workers(size: ProblemSize, config: Config, stages: Sequence[Stage]) -> set[str]:
    """Return the columns that later tasks read copies of on other nodes.

    Parameters
    ----------
    size, config
        Of the run.
    stages
        Those that are left, in order.
    """
    return {column for cost in _on_workers(size, config, stages) for column in cost.copies}


def has_workers(size: ProblemSize, config: Config, stages: Sequence[Stage]) -> bool:
    """Whether any stage has tasks on workers.

    Parameters
    ----------
    size, config
        Of the run.
    stages
        Those that are left, in order.
    """
    return bool(_on_workers(size, config, stages))


def _on_workers(size: ProblemSize, config: Config, stages: Sequence[Stage]) -> list[Cost]:
    """Return the costs of the stages that have tasks on workers."""
    costs = [(stage, stage.cost(size, config)) for stage in stages]
    return [cost for stage, cost in costs if not stage.is_alone(config, cost.tasks or size.shards)]


def read_by_tasks(size: ProblemSize, config: Config, stage: Stage, left: Sequence[Stage]) -> set[str]:
    """Return the columns that tasks of a stage and later stages read copies of.

    Parameters
    ----------
    size, config
        Of the run.
    stage, left
        The stage, and those after it.
    """
    return set(stage.cost(size, config).copies) | read_later(size, config, left)


class HeldCopies:
    """The copies that a node holds: each goes with its last reader, as in a run."""

    def __init__(self) -> None:
        self._copies: dict[str, float] = {}
        self._peak = 0.0

    def holds(self, copies: Mapping[str, float]) -> float:
        """Add copies; returns the bytes that are new."""
        new = {column: size for column, size in copies.items() if column not in self._copies}
        self._copies |= new
        self._peak = max(self._peak, sum(self._copies.values()))
        return sum(new.values())

    def keep(self, columns: Collection[str]) -> None:
        """Free all copies but those of columns."""
        self._copies = {column: size for column, size in self._copies.items() if column in columns}

    def peak(self) -> float:
        """Return the most bytes since the last call, and count anew."""
        peak, self._peak = max(self._peak, sum(self._copies.values())), 0.0
        return peak


def size_of(tables: Tables) -> ProblemSize:
    """Return the size of a run whose edges are not counted yet."""
    rows = max(1, tables.rows)
    return ProblemSize(
        rows,
        tables.width,
        pieces=1,
        shards=max(1, len(tables.bounds) - 1),
        edges=EDGES_PER_ROW * rows,
        links=EDGES_PER_ROW * rows,
        threads=tables.threads,
    )
