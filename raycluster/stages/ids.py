"""The id column of the input -> sorted runs: ids of some pieces, with positions.

Rows are numbered in the order of their ids, whatever file or place they come from. Three stages find that order without
any process holding all ids. `ids` sorts runs of bounded size. `order` merges them by ranges of ids. `ranks` brings the ranks
back to the pieces. Each reads every object of the one before it in few requests, so that their number grows with the pieces,
not with pieces times shards.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.kernels.sorted_ids import Id, first_twice, joined, large_type, ordered
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage
from raycluster.storage import schemas
from raycluster.storage.column_types import ids_as
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import refuse_null_ids
from raycluster.storage.planned_files import planned_file
from raycluster.storage.records import Piece, Plan
from raycluster.storage.run_folder import RunFolder
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Output, Tables, Task

RUN_BYTES = 2**28
"""Bytes of the ids of one run, 256 MiB. Raising it makes fewer runs, so that fewer requests merge them, and takes about six
times as much memory per worker. Results do not depend on it."""
BLOCK_ROWS = 2**18
"""Rows of one block, 262,144: the unit in which ids are read again. Larger blocks are fewer requests; a range of ids reads
up to two blocks per run that it needs in part."""
SAMPLE_ROWS = 2**14
"""Ids between two samples of a run, 16,384. From the samples, ranges of ids are chosen. Fewer make ranges more even; at a
billion rows there are 61,000 samples. A block has a whole number of such steps."""
POSITION_BYTES = 8
"""Bytes of a position, an int64."""
TYPICAL_ID_BYTES = 36
"""Bytes of an id where none have been read: those of a UUID in hexadecimal. It serves estimates alone."""
MEMORY_COPIES = 6.0
"""Copies of a run that a worker holds at its peak: as read, joined, sorted, as a table, encoded, and the order. Measured."""

Twice = tuple[Id, int, int]
"""An id that occurs twice, with two positions."""


def folder_of(tables: Tables) -> RunFolder:
    """Return the run folder. The rows of arrays in memory are in order already."""
    assert isinstance(tables, StoredTables), "arrays in memory are in order already"
    return tables.folder


def runs(plan: Plan) -> list[range]:
    """Return the consecutive pieces of every run: as many as RUN_BYTES hold."""
    found: list[range] = []
    size = 0
    for number, piece in enumerate(plan.pieces):
        bytes_of = piece.id_bytes + POSITION_BYTES * piece.rows
        if found and size + bytes_of <= RUN_BYTES:
            found[-1] = range(found[-1].start, number + 1)
            size += bytes_of
        else:
            found.append(range(number, number + 1))
            size = bytes_of
    return found


def tasks_of_runs(tables: Tables) -> Sequence[Task]:
    """Return one task per run, over positions in the input."""
    plan = folder_of(tables).plan
    return [
        Task(number, plan.pieces[run.start].offset, plan.pieces[run[-1]].offset + plan.pieces[run[-1]].rows)
        for number, run in enumerate(runs(plan))
    ]


def blocks(rows: int) -> list[slice]:
    """Return the rows of every block of so many rows."""
    return [slice(start, min(rows, start + BLOCK_ROWS)) for start in range(0, rows, BLOCK_ROWS)]


def blocks_between(samples: Sequence[Id], low: Id | None, high: Id | None) -> range:
    """Return the blocks of a run that may hold ids of a range.

    Parameters
    ----------
    samples
        Every SAMPLE_ROWS-th id of the run.
    low, high
        Bounds of the range, `high` left out; none is no bound.
    """
    firsts = samples[:: BLOCK_ROWS // SAMPLE_ROWS]
    first = 0 if low is None else max(0, bisect_right(firsts, low) - 1)
    return range(first, len(firsts) if high is None else bisect_left(firsts, high))


def open_ids(tables: Tables) -> ShardFunction:
    """Return the function that reads and sorts the ids of one run."""
    folder = folder_of(tables)
    plan, column = folder.plan, folder.config.id_column

    def sort(task: Task) -> Output:
        read = [read_ids(plan, column, plan.pieces[number]) for number in runs(plan)[task.number]]
        ids, positions = ordered(joined(read, tables.id_type), np.arange(task.start, task.stop))
        facts = {
            "samples": ids.take(pa.array(np.arange(0, len(ids), SAMPLE_ROWS))).to_pylist(),
            "twice": first_twice(ids, positions),
        }
        return Output([{"id": ids[rows], "position": positions[rows]} for rows in blocks(len(ids))], facts)

    return sort


def read_ids(plan: Plan, column: str, piece: Piece) -> pa.ChunkedArray:
    """Return the ids of one piece: its column, or row numbers.

    Parameters
    ----------
    plan, column
        The run's plan and the id column.
    piece
        One of the plan's.

    Raises
    ------
    InputError
        For a null, naming file and row.
    """
    if plan.input.numbered:
        return pa.chunked_array([np.arange(piece.offset, piece.offset + piece.rows)])
    store = Store(plan.input.url)
    name = plan.input.files[piece.file].path
    with planned_file(store, plan.input, piece.file) as file:
        ids = file.read_row_groups(piece.groups, columns=[column])[column]
    refuse_null_ids(ids, column, store.name(name), piece.first_row)
    kind = large_type(pa.type_for_alias(plan.input.id_type))
    where = f"{store.name(name)}, column '{column}'"
    try:
        return ids_as(ids, kind, where)
    except InputError:
        if pa.types.is_integer(ids.type):
            raise
        raise InputError(f"{where} is {ids.type}; ids are integers, strings or binary.") from None


def refuse_twice(plan: Plan, column: str, twice: Sequence[Twice | None]) -> None:
    """Raise InputError for the lowest id that occurs twice, naming files and rows.

    Parameters
    ----------
    plan, column
        The run's plan and the id column.
    twice
        Ids that occur twice, each with two positions; none where there are none.
    """
    lowest = min((one for one in twice if one is not None), default=None)
    if lowest is None:
        return
    value, *positions = lowest
    store = Store(plan.input.url)
    places = []
    for position in positions:
        piece = next(piece for piece in plan.pieces if 0 <= position - piece.offset < piece.rows)
        name = store.name(plan.input.files[piece.file].path)
        places.append(f"{name} row {piece.first_row + position - piece.offset}")
    raise InputError(f"Column '{column}' holds the id {value!r} twice: in {places[0]} and in {places[1]}.")


def run_bytes(size: ProblemSize) -> float:
    """Return the bytes of ids and positions of one run, for estimates."""
    return min(float(RUN_BYTES), size.rows * float(TYPICAL_ID_BYTES + POSITION_BYTES))


def num_runs(size: ProblemSize) -> int:
    """Return the number of runs, for estimates."""
    return max(1, -(-size.rows * (TYPICAL_ID_BYTES + POSITION_BYTES) // RUN_BYTES))


def _cost(size: ProblemSize, config: Config) -> Cost:  # noqa: ARG001
    return Cost(
        tasks=num_runs(size),
        work=float(size.rows),
        rate=1e-6,
        worker_bytes=MEMORY_COPIES * run_bytes(size),
        streams={"input": float(size.rows) * TYPICAL_ID_BYTES},
        compression=0.6,
    )


IDS = Stage(
    name="ids",
    reads=(),
    writes=lambda config, id_type, width: schemas.sorted_ids(large_type(id_type)),
    settings=lambda config: [config.id_column],
    tasks=tasks_of_runs,
    open=open_ids,
    cost=_cost,
)
