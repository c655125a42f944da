"""What the stages of a run are expected to take, from the costs that they declare.

`raycluster estimate` measures the machine; this forecast takes stored rates, because it only fills a line of progress. What
stages have taken so far corrects it (`raycluster.executors.position.Outlook`).
"""

from collections.abc import Sequence

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
    """Return the stages of whose columns copies are needed by `stages` and at the end."""
    if not tables.has_facts("embeddings"):
        return {stage.name for stage in STAGES}
    size = _size(tables)
    columns = [column for stage in stages for column in stage.cost(size, tables.config).copies]
    return {column.partition(".")[0] for column in columns} | READS


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
