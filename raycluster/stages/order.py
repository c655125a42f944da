"""Sorted runs -> ranges of ids: all ids between two bounds, in their order.

A task reads from every run the blocks that its range needs, and nothing else. Equal ids lie in one range, wherever they
come from, so an id that occurs twice is found here. The places of rows in their range are stored in the order of positions.
So `ranks` reads the rows of a few pieces without the others.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pyarrow as pa

from raycluster.arrays import Int64
from raycluster.config.stages import Config
from raycluster.kernels.sorted_ids import Id, cut, first_twice, joined, large_type, ordered
from raycluster.stages.ids import (
    MEMORY_COPIES,
    SAMPLE_ROWS,
    TYPICAL_ID_BYTES,
    blocks,
    blocks_between,
    folder_of,
    num_runs,
    refuse_twice,
    run_bytes,
    runs,
)
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage
from raycluster.storage import schemas
from raycluster.storage.run_folder import RunFolder
from raycluster.storage.tables import Facts, Output, Tables, Task


def choose_ranges(tables: Tables) -> Facts:
    """Return the bounds between ranges: as many as runs, of about as many rows.

    Raises InputError for an id that occurs twice within a run. So one run adds one copy of an id to a range at most.
    """
    folder = folder_of(tables)
    facts = tables.task_facts("ids")
    refuse_twice(folder.plan, folder.config.id_column, [run["twice"] and tuple(run["twice"]) for run in facts])
    samples = sorted(chain.from_iterable(run["samples"] for run in facts))
    ranges = len(runs(folder.plan))
    return {"bounds": sorted({samples[len(samples) * number // ranges] for number in range(1, ranges)})}


def ranges_of_ids(tables: Tables) -> Sequence[Task]:
    """Return one task per range of ids. How many rows it has shows when it is read."""
    return [Task(number, 0, 0) for number in range(len(tables.facts("order")["bounds"]) + 1)]


def open_order(tables: Tables) -> ShardFunction:
    """Return the function that merges one range of ids from all runs."""
    folder = folder_of(tables)
    bounds = [None, *tables.facts("order")["bounds"], None]

    def merge(task: Task) -> Output:
        low, high = bounds[task.number], bounds[task.number + 1]
        slices = [one for run in range(len(runs(folder.plan))) for one in _slices(folder, run, low, high)]
        ids = joined([pa.chunked_array([one[0]]) for one in slices], tables.id_type)
        positions = np.concatenate([np.empty(0, np.int64), *(one[1] for one in slices)])
        ids, positions = ordered(ids, positions)
        place = np.argsort(positions, kind="stable")
        position = positions[place]
        cuts = blocks(len(ids))
        facts = {
            "rows": len(ids),
            "positions": [int(position[rows.start]) for rows in cuts],
            "twice": first_twice(ids, positions),
        }
        return Output([{"id": ids[rows], "position": position[rows], "place": place[rows]} for rows in cuts], facts)

    return merge


def _slices(folder: RunFolder, run: int, low: Id | None, high: Id | None) -> list[tuple[pa.Array, Int64]]:
    """Return ids and positions of a run within a range, block by block."""
    found = []
    for block in blocks_between(folder.marker("ids", run).facts["samples"], low, high):
        table = folder.table("ids", run, ["id", "position"], block)
        ids = joined([table["id"]], table["id"].type)
        begin, end = cut(ids, low, high)
        # A copy, so that the rest of the block is let go.
        ids = ids.take(pa.array(np.arange(begin, end)))
        found.append((ids, table["position"].to_numpy()[begin:end].copy()))
    return found


def _cost(size: ProblemSize, config: Config) -> Cost:  # noqa: ARG001
    return Cost(
        tasks=num_runs(size),
        once=float(size.rows) / SAMPLE_ROWS,
        once_rate=1e-6,
        work=float(size.rows),
        rate=1e-6,
        driver_bytes=2.0 * TYPICAL_ID_BYTES * size.rows / SAMPLE_ROWS,
        worker_bytes=MEMORY_COPIES * run_bytes(size),
        streams={"ids": float(size.rows) * (TYPICAL_ID_BYTES + 8)},
        compression=0.6,
    )


ORDER = Stage(
    name="order",
    reads=("ids",),
    writes=lambda config, id_type, width: schemas.ordered_ids(large_type(id_type)),
    once=choose_ranges,
    tasks=ranges_of_ids,
    open=open_order,
    cost=_cost,
)
