"""All rows -> which of them hold the vector of an earlier row, bit for bit.

Copies would fill each other's neighbor lists, and every scale that is read from the lists would be that of copies.
So the stages up to `labels` see the first row of every group of copies only. `labels` gives its cluster to all of them.

This is a global step: the driver reads all vectors once, from the copy that it searches and picks limits on anyway.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.config.stages import Config
from raycluster.kernels.duplicates import originals
from raycluster.stages.coarse_lists import copy_of_vectors
from raycluster.stages.ingest import vectors_of
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage
from raycluster.storage import schemas
from raycluster.storage.tables import Facts, Output, Tables, Task

DRIVER_BYTES = 32.0
"""Peak bytes per row beyond the vectors: hash, order, bounds of runs and original. Measured."""

FEW_COPIES = 0.25
"""Share of copies below which rows stay as they are, if no vector fills half a list.

Few copies are a sign of how near one identity's rows are. Without them the threshold of product titles, 11 % copies, is picked
too low (BCubed F 45.7 in place of 54.7). Sets in which every second row is a copy need the collapse.
"""


def is_wanted(config: Config) -> bool:
    """Whether copies are collapsed.

    Neighbors or counts that were computed elsewhere are of all rows.
    """
    return config.embeddings.duplicates == "collapse" and config.knn.source is None and config.topk.source is None


def whole_set(tables: Tables) -> list[Task]:
    """Return one task of all rows, copies included."""
    return [Task(0, 0, tables.bounds_of_all[-1])]


def open_duplicates(tables: Tables) -> ShardFunction:
    """Return the function that finds the copies among all rows.

    Copies that fill no lists stay rows of their own.
    """
    k = tables.config.knn.k

    def find(task: Task) -> Output:
        original = originals(vectors_of(tables))
        assert len(original) == len(task), "copies are sought before rows are left out"
        copy = np.flatnonzero(original != np.arange(len(original))).astype(np.int32)
        size = np.bincount(original[copy]) + 1 if len(copy) else np.ones(1, np.int64)
        if len(copy) < FEW_COPIES * len(original) and size.max() <= k // 2:
            copy, size = copy[:0], np.ones(1, np.int64)
        facts = {
            "copies": len(copy),
            "distinct": len(original) - len(copy),
            "groups": int((size > 1).sum()),
            "largest": int(size.max()),
        }
        return Output([{"row": copy, "original": original[copy]}], facts)

    return find


def numbers(tables: Tables) -> Facts:
    """Return the numbers of copies, distinct rows, groups, and of the largest group."""
    facts = tables.task_facts("duplicates")[0]
    return {name: facts[name] for name in ("copies", "distinct", "groups", "largest")}


def summary(tables: Tables) -> str | None:
    """Return how many rows are copies; nothing where none is."""
    facts = numbers(tables)
    if facts["copies"] == 0:
        return None
    return (
        f"{facts['copies']:,} rows are exact copies of others and share their clusters; {facts['distinct']:,} distinct rows are "
        f"compared (the most frequent vector is in {facts['largest']:,} rows)"
    )


def headline(tables: Tables) -> Facts:
    """Return the number of copies, where there are any."""
    copies = numbers(tables)["copies"]
    return {"duplicates": copies} if copies else {}


def _cost(size: ProblemSize, config: Config) -> Cost:
    return Cost(
        tasks=1,
        work=float(size.rows) * size.width,
        rate=6e-10,
        driver_bytes=DRIVER_BYTES * size.rows,
        stored_rows=0.0,
        copies=copy_of_vectors(size, config),
    )


def _settings(config: Config) -> Any:
    return [config.embeddings.duplicates, config.knn.storage]


def _schema(config: Config, id_type: pa.DataType, width: int) -> pa.Schema:  # noqa: ARG001
    return schemas.DUPLICATES


DUPLICATES = Stage(
    name="duplicates",
    reads=("embeddings",),
    writes=_schema,
    settings=_settings,
    is_wanted=is_wanted,
    tasks=whole_set,
    is_global=lambda config: True,
    open=open_duplicates,
    summary=summary,
    numbers=numbers,
    headline=headline,
    cost=_cost,
)
