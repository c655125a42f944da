"""Ids in their order -> row shards: every row that stays gets its number.

Numbers are dense in the order of ids.

The vectors stay where they were ingested; a node copies them from there into the order of rows.
"""

import numpy as np
import pyarrow as pa

from raycluster.arrays import Int64
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.stages.ids import folder_of
from raycluster.stages.ranks import ids_between
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage, shards_of_all
from raycluster.storage import schemas
from raycluster.storage.records import Plan
from raycluster.storage.tables import Facts, Output, Tables, Task


def number_rows(tables: Tables) -> Facts:
    """Return the first row of every shard, less the dropped rows.

    Raises InputError for a set that cannot be clustered.
    """
    plan = folder_of(tables).plan
    lost = np.sort(
        np.array([entry[3] for facts in tables.task_facts("ingest") for entry in facts["dropped"]], np.int64)
    )
    bounds = ranks_of_shards(plan)
    counts = np.diff(bounds) - np.diff(np.searchsorted(lost, bounds))
    planned = np.flatnonzero(counts)
    starts = np.concatenate([[0], np.cumsum(counts[planned])]).tolist()
    if starts[-1] == 0:
        raise InputError(f"The input {plan.input.url} has no row that can be used; all {plan.input.rows} were dropped.")
    return {
        "starts": starts,
        "planned": planned.tolist(),
        "lost": tables.put_array("embeddings", "lost", lost) if len(lost) else None,
    }


def ranks_of_shards(plan: Plan) -> Int64:
    """Return the first rank of every row shard (S + 1,), and the number of input rows."""
    per_shard = -(-plan.input.rows // plan.shards)
    return np.minimum(np.arange(plan.shards + 1) * per_shard, plan.input.rows)


def open_embeddings(tables: Tables) -> ShardFunction:
    """Return the function that numbers the rows of one shard.

    It reads the shard's ids in their order and leaves out dropped rows.
    """
    folder = folder_of(tables)
    facts, starts = tables.facts("embeddings"), tables.facts("ranks")["starts"]
    lost = np.empty(0, np.int64) if facts["lost"] is None else tables.array("embeddings", "lost", facts["lost"])
    bounds = ranks_of_shards(folder.plan)

    def gather(task: Task) -> Output:
        first, last = (int(bounds[facts["planned"][task.number] + end]) for end in (0, 1))
        ids = ids_between(folder, starts, first, last)
        begin, end = np.searchsorted(lost, [first, last])
        if end > begin:
            is_kept = np.ones(last - first, bool)
            is_kept[lost[begin:end] - first] = False
            ids = ids.filter(pa.array(is_kept))
        rows = np.arange(task.start, task.start + len(ids), dtype=np.int32)
        return Output([{"row": rows, "id": ids}])

    return gather


def _cost(size: ProblemSize, config: Config) -> Cost:  # noqa: ARG001
    return Cost(
        work=float(size.rows),
        rate=1e-6,
        worker_bytes=80.0 * size.rows_per_shard,
        streams={"order": 8.0 * size.rows},
        compression=0.53,
    )


EMBEDDINGS = Stage(
    name="embeddings",
    reads=("ranks", "ingest"),
    writes=lambda config, id_type, width: schemas.embeddings(id_type),
    once=number_rows,
    tasks=shards_of_all,
    open=open_embeddings,
    cost=_cost,
)
