"""Ranges of ids -> the rank of every row in the order of ids, by pieces."""

from bisect import bisect_left, bisect_right

import numpy as np
import pyarrow as pa

from raycluster.arrays import Int64
from raycluster.config.stages import Config
from raycluster.stages.ids import (
    MEMORY_COPIES,
    blocks,
    folder_of,
    num_runs,
    refuse_twice,
    run_bytes,
    runs,
    tasks_of_runs,
)
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage
from raycluster.storage import schemas
from raycluster.storage.run_folder import RunFolder
from raycluster.storage.tables import Facts, Output, Tables, Task


def start_ranges(tables: Tables) -> Facts:
    """Return the first rank of every range, and N.

    Raises InputError for an id that occurs twice.
    """
    folder = folder_of(tables)
    facts = tables.task_facts("order")
    refuse_twice(folder.plan, folder.config.id_column, [one["twice"] and tuple(one["twice"]) for one in facts])
    starts = np.concatenate([[0], np.cumsum([one["rows"] for one in facts])]).tolist()
    assert starts[-1] == folder.plan.input.rows, "every row lies in one range"
    return {"starts": starts}


def open_ranks(tables: Tables) -> ShardFunction:
    """Return the function that gathers the ranks of one run's pieces from every range."""
    folder = folder_of(tables)
    starts = tables.facts("ranks")["starts"]

    def gather(task: Task) -> Output:
        rank = np.full(len(task), -1, np.int64)
        for number, start in enumerate(starts[:-1]):
            positions = folder.marker("order", number).facts["positions"]
            first, last = max(0, bisect_right(positions, task.start) - 1), bisect_left(positions, task.stop)
            for block in range(first, last):
                table = folder.table("order", number, ["position", "place"], block)
                position = table["position"].to_numpy()
                begin, end = np.searchsorted(position, [task.start, task.stop])
                rank[position[begin:end] - task.start] = start + table["place"].to_numpy()[begin:end]
        assert (rank >= 0).all(), "every row has a rank"
        pieces = [folder.plan.pieces[number] for number in runs(folder.plan)[task.number]]
        bounds = np.cumsum([piece.rows for piece in pieces])[:-1]
        return Output([{"rank": ranks} for ranks in np.split(rank, bounds)])

    return gather


def ranks_of(folder: RunFolder, piece: int) -> Int64:
    """Return the ranks of one piece's rows, in their order in the file."""
    number, run = next((number, run) for number, run in enumerate(runs(folder.plan)) if piece in run)
    return np.asarray(folder.table("ranks", number, ["rank"], piece - run.start)["rank"].to_numpy())


def ids_between(folder: RunFolder, starts: list[int], first: int, last: int) -> pa.ChunkedArray:
    """Return the ids of ranks first..last in their order.

    Parameters
    ----------
    folder
        The run.
    starts
        First rank of every range, and N.
    first, last
        Ranks, `last` left out.
    """
    chunks: list[pa.Array] = []
    for number in range(bisect_right(starts, first) - 1, bisect_left(starts, last)):
        start = starts[number]
        for block, rows in enumerate(blocks(starts[number + 1] - start)):
            begin, end = max(rows.start, first - start), min(rows.stop, last - start)
            if begin < end:
                ids = folder.table("order", number, ["id"], block)["id"]
                chunks += ids.slice(begin - rows.start, end - begin).chunks
    return pa.chunked_array(chunks)


def _cost(size: ProblemSize, config: Config) -> Cost:  # noqa: ARG001
    return Cost(
        tasks=num_runs(size),
        work=float(size.rows),
        rate=2e-7,
        worker_bytes=MEMORY_COPIES * run_bytes(size) / 2,
        streams={"order": 16.0 * size.rows},
        compression=0.5,
    )


RANKS = Stage(
    name="ranks",
    reads=("order",),
    writes=lambda config, id_type, width: schemas.RANKS,
    once=start_ranges,
    tasks=tasks_of_runs,
    open=open_ranks,
    cost=_cost,
)
