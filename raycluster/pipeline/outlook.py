"""What the stages of a run are expected to take, from the costs that they declare.

`raycluster estimate` measures the machine; this forecast takes stored rates, because it only fills a line of progress. What
stages have taken so far corrects it (`raycluster.executors.position.Outlook`).
"""

from collections.abc import Iterable, Sequence

from raycluster.pipeline.health import READS
from raycluster.stages import STAGES
from raycluster.stages.stage import ProblemSize, Stage
from raycluster.storage.tables import Tables

EDGES_PER_ROW = 10.0
"""Edges per row that are assumed before there are any: faces of 10 to 20 rows per identity have about as many."""


def seconds_of(tables: Tables, stages: Sequence[Stage]) -> dict[str, float]:
    """Return the seconds that stages will take, by name.

    It is 0 for stages that have finished tasks.
    """
    size = _size(tables)
    seconds = {}
    for stage in stages:
        cost = stage.cost(size, tables.config)
        is_begun = bool(tables.finished(stage.name))
        seconds[stage.name] = 0.0 if is_begun else cost.once * cost.once_rate + cost.work * cost.rate
    return seconds


def read_later(tables: Tables, stages: Sequence[Stage]) -> set[str]:
    """Return the stages whose columns later stages read on the driver's node.

    The end of a run is among them.
    """
    if not tables.has_facts("embeddings"):
        return {stage.name for stage in STAGES}
    costs = [stage.cost(_size(tables), tables.config) for stage in stages]
    return _stages_of(column for cost in costs for column in (*cost.copies, *cost.copies_once)) | READS


def read_by_workers(tables: Tables, stages: Sequence[Stage]) -> set[str]:
    """Return the stages whose columns later tasks read on other nodes."""
    if not tables.has_facts("embeddings"):
        return {stage.name for stage in STAGES}
    size = _size(tables)
    costs = [(stage, stage.cost(size, tables.config)) for stage in stages]
    shared = [cost for stage, cost in costs if not stage.is_alone(tables.config, cost.tasks or size.shards)]
    return _stages_of(column for cost in shared for column in cost.copies)


def _stages_of(columns: Iterable[str]) -> set[str]:
    return {column.partition(".")[0] for column in columns}


def _size(tables: Tables) -> ProblemSize:
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
