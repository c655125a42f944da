"""Input pieces -> checked rows of unit length in the order of ids.

Each piece of the input becomes one table. Later stages read vectors from here: a vector is stored once, and copied once per
node. Arrays in memory are ingested by the code that made them.
"""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float32, Int8, Int64, Vectors
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.kernels.unit_rows import GOOD, NULL, REASONS, normalize
from raycluster.stages.ranks import ranks_of
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage
from raycluster.storage import schemas
from raycluster.storage.column_types import ids_as
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import BATCH_ROWS
from raycluster.storage.planned_files import planned_file
from raycluster.storage.records import Piece, Plan
from raycluster.storage.run_folder import RunFolder
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Output, Tables, Task
from raycluster.storage.vector_columns import VectorSource
from raycluster.storage.vector_forms import read_vectors


def vectors_of(tables: Tables) -> Vectors:
    """Return the unit vectors (N, D) of all rows in the type that `knn.storage` names."""
    return tables.column("ingest", "embedding", tables.config.knn.storage)


def few_vectors(tables: Tables) -> Vectors:
    """Return `vectors_of` for readers of few rows: without a copy of all."""
    return tables.few_rows("ingest", "embedding", tables.width, tables.config.knn.storage)


def _folder(tables: Tables) -> RunFolder:
    assert isinstance(tables, StoredTables), "arrays in memory are ingested already"
    return tables.folder


def pieces(tables: Tables) -> list[Task]:
    """Return one task per piece of the input."""
    planned = _folder(tables).plan.pieces
    return [Task(number, piece.first_row, piece.first_row + piece.rows) for number, piece in enumerate(planned)]


def open_ingest(tables: Tables) -> ShardFunction:
    """Return the function that reads, checks and normalizes one piece."""
    folder = _folder(tables)

    def ingest(task: Task) -> Output:
        ids, unit, reason = read_piece(folder.plan, folder.config, task.number)
        return _good(folder.plan.pieces[task.number], ranks_of(folder, task.number), ids, unit, reason)

    return ingest


def read_piece(plan: Plan, config: Config, number: int) -> tuple[pa.ChunkedArray, Float32, Int8]:
    """Return ids, unit rows (R, D) and reasons (R,) of one piece of the input.

    Raises InputError, naming file, column and row, for a vector of another width, and for a row without a unit vector where
    `embeddings.on_bad_row` is error.

    Parameters
    ----------
    plan
        Files and pieces of the input.
    config
        Names of columns, and what happens to rows without a unit vector.
    number
        Of the piece, from 0.
    """
    piece, store, width = plan.pieces[number], Store(plan.input.url), plan.input.width
    name = plan.input.files[piece.file].path
    where = f"{store.name(name)}, column '{config.embedding_column}'"
    ids: list[pa.Array] = []
    vectors: list[Float32] = []
    reasons: list[Int8] = []
    row, id_type = piece.first_row, pa.type_for_alias(plan.input.id_type)
    with planned_file(store, plan.input, piece.file) as file:
        source = VectorSource.of(file.schema_arrow, config.embedding_column, store.name(name))
        columns = source.columns if plan.input.numbered else [config.id_column, *source.columns]
        for batch in file.iter_batches(BATCH_ROWS, row_groups=piece.groups, columns=columns):
            values, null = read_vectors(source.lists(batch, row), width, where, row)
            unit, reason = normalize(values)
            reason[null] = NULL
            bad = np.flatnonzero(reason)
            if len(bad) and config.embeddings.on_bad_row == "error":
                raise InputError(
                    f"{where}, row {row + bad[0]}: the vector holds {REASONS[reason[bad[0]]]}; "
                    "--embeddings.on-bad-row drop leaves such rows out."
                )
            if plan.input.numbered:
                first = piece.offset + row - piece.first_row
                ids.append(pa.array(np.arange(first, first + batch.num_rows)))
            else:
                column = f"{store.name(name)}, column '{config.id_column}'"
                ids += ids_as(batch.column(config.id_column), id_type, column).chunks
            vectors.append(unit)
            reasons.append(reason)
            row += batch.num_rows
    return pa.chunked_array(ids, id_type), np.concatenate(vectors), np.concatenate(reasons)


def read_unit_rows(plan: Plan, config: Config) -> Float32:
    """Return the unit rows (N, D) of the whole input, less the rows that have none."""
    lenient = replace(config, embeddings=replace(config.embeddings, on_bad_row="drop"))
    read = [read_piece(plan, lenient, number) for number in range(len(plan.pieces))]
    return np.concatenate([unit[reason == GOOD] for _, unit, reason in read])


def _good(piece: Piece, rank: Int64, ids: pa.ChunkedArray, unit: Float32, reason: Int8) -> Output:
    """Return the good rows sorted by rank, and the rows that were dropped."""
    order = np.argsort(rank, kind="stable")
    order = order[reason[order] == GOOD]
    facts = {
        "dropped": [
            [ids[int(row)].as_py(), piece.first_row + int(row), REASONS[reason[row]], int(rank[row])]
            for row in np.flatnonzero(reason)
        ],
    }
    return Output([{"rank": rank[order], "embedding": unit[order]}], facts)


def _cost(size: ProblemSize, config: Config) -> Cost:  # noqa: ARG001
    # Unit rows as read, joined, sorted, and encoded twice; one batch in float64.
    piece = -(-size.rows // size.pieces)
    worker = 4.0 * size.width * (6 * piece + 4 * min(piece, BATCH_ROWS))
    return Cost(
        tasks=size.pieces,
        work=float(size.rows) * size.width,
        rate=1.1e-7,
        worker_bytes=worker,
        streams={"input": size.rows * (8.0 + 4 * size.width), "ranks": 8.0 * size.rows},
        compression=0.84,
    )


INGEST = Stage(
    name="ingest",
    reads=("ranks",),
    writes=lambda config, id_type, width: schemas.ingest(width),
    settings=lambda config: [config.id_column, config.embedding_column, config.embeddings.on_bad_row],
    tasks=pieces,
    open=open_ingest,
    cost=_cost,
)
