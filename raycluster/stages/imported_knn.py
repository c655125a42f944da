"""A kNN table that the user already has, in place of a search: `knn.source`.

Its rows are numbered as in the input it was made with. So the ids of the run must be 0..N-1, and no row may be dropped. The
similarities are computed again by the fixed kernel, so that edges do not depend on how the table was rounded.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raycluster.arrays import Float32, Int32, Vectors
from raycluster.errors import InputError
from raycluster.kernels.search.ordering import rank_candidates
from raycluster.stages.stage import row_shards
from raycluster.storage import schemas
from raycluster.storage.parquet_input import input_files
from raycluster.storage.tables import Tables, Task


def require_matching_rows(tables: Tables, url: str) -> None:
    """Raise InputError where a kNN table's rows cannot be those of the run."""
    rows, k = 0, tables.config.knn.k
    store, names = input_files(url)
    for name in names:
        with store.parquet(name) as file:
            schema = file.schema_arrow
            for column in ("row", "neighbor", "similarity"):
                if column not in schema.names:
                    raise InputError(f"{store.name(name)} has no column '{column}': it is no knn table.")
            width = getattr(schema.field("neighbor").type, "list_size", 0)
            if width < k:
                raise InputError(
                    f"{store.name(name)} lists {width} neighbors a row, but knn.k is {k}; pass --knn.k {width}."
                )
            rows += file.metadata.num_rows
    if rows != tables.rows:
        raise InputError(f"{url} lists neighbors of {rows} rows, but {tables.rows} rows take part in the run.")
    for task in row_shards(tables):
        if not np.array_equal(tables.ids(task).to_numpy(), np.arange(task.start, task.stop)):
            raise InputError(f"{url} numbers its rows 0..{rows - 1}, so the ids of the input must be these numbers.")


def read(tables: Tables, url: str, task: Task, vectors: Vectors) -> tuple[Int32, Float32]:
    """Return neighbors and similarities (R, K) of a shard's rows, self first.

    They are int32 and float32, in canonical order.

    Parameters
    ----------
    tables
        Of the run; its configuration names what is checked.
    url
        The `knn.npz` of a research format.
    task
        Rows start..stop of a shard.
    vectors : floating (N, D)
        Unit rows, from which similarities are computed.
    """
    k, start, stop = tables.config.knn.k, task.start, task.stop
    neighbor = np.full((len(task), k), -1, np.int32)
    similarity = np.full((len(task), k), -1.0, np.float32)
    store, names = input_files(url)
    seen = 0
    for name in names:
        with store.parquet(name) as file:
            for table in _row_groups(file, start, stop):
                row = table["row"].to_numpy()
                listed = schemas.to_matrix(table["neighbor"])
                for line in np.flatnonzero((row >= start) & (row < stop)):
                    own, ids = int(row[line]), listed[line]
                    ids = ids[(ids >= 0) & (ids < tables.rows)]
                    at = own - start
                    query = np.asarray(vectors[own], np.float32)
                    rank_candidates(query, own, vectors, np.ascontiguousarray(ids[:k]), neighbor[at], similarity[at])
                    seen += 1
    if seen != len(task):
        raise InputError(f"{url} lists {seen} of the rows {start}..{stop - 1}; every row must be there once.")
    return neighbor, similarity


def _row_groups(file: pq.ParquetFile, start: int, stop: int) -> Iterator[pa.Table]:
    """Yield the row groups whose statistics of `row` overlap start..stop."""
    column = file.schema_arrow.get_field_index("row")
    for group in range(file.num_row_groups):
        bounds = file.metadata.row_group(group).column(column).statistics
        if bounds is None or not bounds.has_min_max or (bounds.min < stop and bounds.max >= start):
            yield file.read_row_group(group, columns=["row", "neighbor"])
