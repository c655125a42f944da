"""Ingested pieces -> row shards: every row gets its number, dense in the order of ids.

The vectors stay where they were ingested; a node copies them from there into the order of rows.
"""

import numpy as np
import pyarrow as pa

from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage, shards_of_all
from raycluster.storage import schemas
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Facts, Output, Tables, Task


def number_rows(tables: Tables) -> Facts:
    """Return the first row of every shard, less the dropped rows. Raises InputError for a set that cannot be clustered."""
    assert isinstance(tables, StoredTables), "rows of arrays are numbered already"
    plan = tables.folder.plan
    markers = tables.task_facts("ingest")
    counts = [sum(marker["groups"].get(str(shard), [0, 0])[1] for marker in markers) for shard in range(plan.shards)]
    starts = np.concatenate([[0], np.cumsum([count for count in counts if count])]).tolist()
    url, rows = plan.input.url, starts[-1]
    if rows == 0:
        raise InputError(f"The input {url} has no row that can be used; all {plan.input.rows} were dropped.")
    return {"starts": starts, "planned": [shard for shard, count in enumerate(counts) if count]}


def open_embeddings(tables: Tables) -> ShardFunction:
    """Return the function that gathers one shard's ids from every piece and numbers its rows."""
    assert isinstance(tables, StoredTables), "rows of arrays are numbered already"
    folder = tables.folder
    planned = tables.facts("embeddings")["planned"]

    def gather(task: Task) -> Output:
        shard = str(planned[task.number])
        parts = []
        for piece in range(len(folder.plan.pieces)):
            marker = folder.marker("ingest", piece)
            if shard in marker.facts["groups"]:
                parts.append(folder.table("ingest", piece, ["rank", "id"], marker.facts["groups"][shard][0]))
        table = pa.concat_tables(parts).sort_by("rank")
        rows = np.arange(task.start, task.start + len(table), dtype=np.int32)
        return Output([{"row": rows, "id": table["id"]}])

    return gather


def _cost(size: ProblemSize, config: Config) -> Cost:  # noqa: ARG001
    # The columns rank and id of what was ingested.
    return Cost(
        work=float(size.rows),
        rate=1e-6,
        worker_bytes=80.0 * size.rows_per_shard,
        streams={"ingest": 16.0 * size.rows},
        compression=0.53,
    )


EMBEDDINGS = Stage(
    name="embeddings",
    reads=("ingest",),
    writes=lambda config, id_type, width: schemas.embeddings(id_type),
    once=number_rows,
    tasks=shards_of_all,
    open=open_embeddings,
    cost=_cost,
)
