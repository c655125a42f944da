"""A kNN table the user already has, in place of a search: `knn.source`.

Its rows are numbered as in the input it was made with, so the ids of the run must be 0..N-1 and none may be dropped. The
similarities are computed again by the fixed kernel, so that edges do not depend on how the table was rounded.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raycluster.arrays import Float32, Int32, Vectors
from raycluster.errors import InputError
from raycluster.kernels.search.nearest import rank_candidates
from raycluster.storage import schemas
from raycluster.storage.parquet_input import input_files
from raycluster.storage.run_folder import Run


def require_matching_rows(run: Run, source: str) -> None:
    """Raise InputError where the table's rows cannot be those of the run."""
    rows = 0
    store, names = input_files(source)
    for name in names:
        with store.parquet(name) as file:
            schema = file.schema_arrow
            for column in ("row", "neighbor", "similarity"):
                if column not in schema.names:
                    raise InputError(f"{store.name(name)} has no column '{column}': it is no knn table.")
            width = getattr(schema.field("neighbor").type, "list_size", 0)
            if width < run.config.knn.k:
                raise InputError(
                    f"{store.name(name)} lists {width} neighbors a row, but knn.k is {run.config.knn.k}; "
                    f"pass --knn.k {width}."
                )
            rows += file.metadata.num_rows
    if rows != run.rows:
        raise InputError(f"{source} lists neighbors of {rows} rows, but {run.rows} rows take part in the run.")
    for shard in range(run.shards):
        ids = run.table("embeddings", shard, ["id"])["id"]
        expected = np.arange(*run.starts[shard : shard + 2])
        if not np.array_equal(ids.to_numpy(), expected):
            raise InputError(f"{source} numbers its rows 0..{rows - 1}, so the ids of the input must be these numbers.")


def read(run: Run, source: str, start: int, stop: int, vectors: Vectors) -> tuple[Int32, Float32]:
    """Neighbor int32 and similarity float32 (stop - start, k) of rows start..stop, self first, in canonical order."""
    k = run.config.knn.k
    neighbor = np.full((stop - start, k), -1, np.int32)
    similarity = np.full((stop - start, k), -1.0, np.float32)
    store, names = input_files(source)
    seen = 0
    for name in names:
        with store.parquet(name) as file:
            for table in _row_groups(file, start, stop):
                row = table["row"].to_numpy()
                listed = schemas.to_matrix(table["neighbor"])
                for line in np.flatnonzero((row >= start) & (row < stop)):
                    own, ids = int(row[line]), listed[line]
                    ids = ids[(ids >= 0) & (ids < run.rows)]
                    at = own - start
                    query = np.asarray(vectors[own], np.float32)
                    rank_candidates(query, own, vectors, np.ascontiguousarray(ids[:k]), neighbor[at], similarity[at])
                    seen += 1
    if seen != stop - start:
        raise InputError(f"{source} lists {seen} of the rows {start}..{stop - 1}; every row must be there once.")
    return neighbor, similarity


def _row_groups(file: pq.ParquetFile, start: int, stop: int) -> Iterator[pa.Table]:
    """The row groups whose statistics of `row` overlap start..stop."""
    column = file.schema_arrow.get_field_index("row")
    for group in range(file.num_row_groups):
        bounds = file.metadata.row_group(group).column(column).statistics
        if bounds is None or not bounds.has_min_max or (bounds.min < stop and bounds.max >= start):
            yield file.read_row_group(group, columns=["row", "neighbor"])
