"""Input pieces -> checked, normalized rows, grouped by the row shard they go to.

Each piece of the input becomes one file with a row group for every row shard it feeds, so that the next stage gathers a
shard by reading one row group a file: a shuffle through storage without a central step.
"""

import hashlib
import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.config.fingerprint import fingerprint
from raycluster.errors import InputError, StorageError
from raycluster.storage import schemas
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import plain_ids
from raycluster.storage.run_folder import Part, Run, Stage

BATCH_ROWS = 65536
REASONS = ("", "a null", "NaN or infinity", "only zeros")


def normalize(vectors: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """Unit-length float32 rows from `vectors` (R, D), and why a row cannot be normalized.

    Reasons are 0 for a good row, 2 for NaN or infinity, 3 for only zeros; a bad row comes back as zeros.
    """
    wide = np.asarray(vectors, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        norm = np.sqrt((wide * wide).sum(axis=1))
        extreme = np.flatnonzero(~((norm > 1e-140) & (norm < np.inf)))
        if len(extreme):
            wide = wide.copy()
            largest = np.abs(wide[extreme]).max(axis=1, keepdims=True)
            wide[extreme] /= np.where(largest > 0, largest, 1.0)
            norm[extreme] = np.sqrt((wide[extreme] * wide[extreme]).sum(axis=1))
    reason = np.where(np.isfinite(norm), np.where(norm > 0, 0, 3), 2).astype(np.int8)
    wide = np.where(reason[:, None] == 0, wide, 0.0)
    return (wide / np.where(reason == 0, norm, 1.0)[:, None]).astype(np.float32), reason


def read_vectors(column: pa.Array, width: int, where: str, first_row: int) -> tuple[npt.NDArray[Any], Any]:
    """A batch's embedding column as (R, width) floats and a mask of rows that are null or hold a null.

    Raises InputError, naming the row, for a vector of another length.
    """
    null = np.asarray(pc.is_null(column))
    length = column.type.list_size if pa.types.is_fixed_size_list(column.type) else None
    lengths = np.full(len(column), length) if length else pc.fill_null(pc.list_value_length(column), width).to_numpy()
    wrong = np.flatnonzero((lengths != width) & ~null)
    if len(wrong):
        found = int(lengths[wrong[0]])
        size = "zero length" if found == 0 else f"length {found}"
        raise InputError(f"{where}, row {first_row + wrong[0]}: the vector has {size}, the first one has {width}.")
    small = column.type.value_type in (pa.float32(), pa.float16())
    values = np.zeros((len(column), width), np.float32 if small else np.float64)
    flat = pc.list_flatten(column)
    missing = np.asarray(pc.is_null(flat)).reshape(-1, width) if flat.null_count else None
    values[~null] = np.asarray(flat.fill_null(0).cast(pa.from_numpy_dtype(values.dtype), safe=False)).reshape(-1, width)
    if missing is not None:
        null[np.flatnonzero(~null)[missing.any(axis=1)]] = True
    return values, null


def compute(run: Run, piece: int) -> Part:
    """Read, check, normalize and sort one piece of the input."""
    source = run.plan["pieces"][piece]
    name = run.plan["input"]["files"][source["file"]]["path"]
    store = Store(run.plan["input"]["url"])
    width = run.plan["input"]["width"]
    columns = [run.config.id_column, run.config.embedding_column]
    where = f"{store.name(name)}, column '{columns[1]}'"
    ids: list[pa.Array] = []
    vectors: list[npt.NDArray[np.float32]] = []
    reasons: list[npt.NDArray[np.int8]] = []
    row = source["first_row"]
    with store.parquet(name) as file:
        for batch in file.iter_batches(BATCH_ROWS, row_groups=source["groups"], columns=columns):
            values, null = read_vectors(batch.column(columns[1]), width, where, row)
            unit, reason = normalize(values)
            reason[null] = 1
            bad = np.flatnonzero(reason)
            if len(bad) and run.config.embeddings.on_bad_row == "error":
                raise InputError(
                    f"{where}, row {row + bad[0]}: the vector holds {REASONS[reason[bad[0]]]}; "
                    "--embeddings.on-bad-row drop leaves such rows out."
                )
            ids += plain_ids(pa.chunked_array([batch.column(columns[0])])).chunks
            vectors.append(unit)
            reasons.append(reason)
            row += batch.num_rows
    return _part(run, piece, pa.chunked_array(ids), vectors, np.concatenate(reasons))


def _part(
    run: Run, piece: int, ids: pa.ChunkedArray, vectors: list[npt.NDArray[np.float32]], reason: npt.NDArray[np.int8]
) -> Part:
    """The rows that are good, sorted by rank, one row group for each row shard."""
    stored = run.store.get(ranks_path(run, piece))
    if stored is None:
        raise StorageError(f"{run.store.name(ranks_path(run, piece))} is missing; choose another --output.")
    rank = np.load(io.BytesIO(stored), allow_pickle=False)
    unit = np.concatenate(vectors)
    order = np.argsort(rank, kind="stable")
    order = order[reason[order] == 0]
    shard_of = np.minimum(rank[order] // rows_per_shard(run), run.plan["shards"] - 1)
    present, first = np.unique(shard_of, return_index=True)
    schema = schemas.ingest(ids.type, unit.shape[1])
    tables: list[pa.Table] = []
    groups: dict[str, list[int]] = {}
    bounds = np.append(first, len(order))
    for shard, begin, end in zip(present, bounds[:-1], bounds[1:], strict=True):
        rows = order[begin:end]
        groups[str(shard)] = [len(tables), len(rows)]
        tables.append(schemas.from_columns(schema, rank=rank[rows], id=ids.take(pa.array(rows)), embedding=unit[rows]))
    good = unit[order]
    facts = {
        "groups": groups,
        "dropped": [
            [ids[int(row)].as_py(), run.plan["pieces"][piece]["first_row"] + int(row), REASONS[reason[row]]]
            for row in np.flatnonzero(reason)
        ],
        "uniform": bool(len(good) == 0 or (good == good[0]).all()),
        "first": hashlib.sha256(good[:1].tobytes()).hexdigest() if len(good) else None,
    }
    return Part(tables or [schema.empty_table()], facts)


def rows_per_shard(run: Run) -> int:
    """Input rows whose ranks fall into one row shard."""
    return -(-int(run.plan["input"]["rows"]) // run.plan["shards"])


def ranks_path(run: Run, piece: int) -> str:
    """Where the plan has put the ranks of a piece's rows; the same whatever happens to bad rows."""
    return f"stages/ingest/ranks-{fingerprint(run.plan['input'], run.config.id_column)}/{piece:05d}.npy"


INGEST = Stage(
    name="ingest",
    settings=lambda config: [config.id_column, config.embedding_column, config.embeddings.on_bad_row],
    compute=compute,
    shards=lambda run: len(run.plan["pieces"]),
)
