"""A run as embedding-atlas opens it: positions and neighbors of every row.

Positions start from the two main axes of the vectors. Neighbors of one cluster pull ten times as strongly as others. So the
map shows the clusters of the run, and which of them touch.

Shapes: N rows, M distinct rows, D coordinates, K neighbors shown per row.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Float64, Vectors
from raycluster.kernels.layout import layout
from raycluster.pipeline.joined import joined
from raycluster.pipeline.results import Results
from raycluster.pipeline.stages_of import stages_of
from raycluster.stages.communities import identities_of
from raycluster.stages.ingest import vectors_of
from raycluster.storage.column_types import ids_as
from raycluster.storage.run_folder import numbered_rows
from raycluster.storage.tables import Tables, for_all

SHOWN = 15
"""Neighbors per row, the row itself included, as embedding-atlas computes them. More pull clusters together."""
ELSEWHERE = np.float32(0.1)
"""Pull of a neighbor in another cluster. At 1 clusters blur; at 0 it does not show which ones are near."""
EPOCHS = (20, 200)
"""Fewest and most rounds of the layout; 200 are UMAP's default. Fewer leave clusters of one identity apart on the map."""
MOST_PULLS = 150_000_000
"""Neighbors times rounds beyond which rounds get fewer: 40 seconds of one core at 250 ns each."""
BLOCK = 65_536
"""Rows of a matrix product."""


def atlas_table(run: str, input_url: str | None) -> pa.Table:
    """Return labels with x, y and neighbors, and the user's columns but vectors.

    Row numbers in `neighbors` are those of the table. Raises InputError where the tables of the run's stages are gone.
    """
    results = Results.of(run)
    labels = results.labels()
    with stages_of(run) as tables:
        # By shards: a copy of whole columns would have five times as many neighbors.
        neighbor, similarity = _nearest(tables, "neighbor"), _nearest(tables, "similarity")
        place = positions(vectors_of(tables), neighbor, identities_of(tables))
        rows = _columns(tables, neighbor, similarity)
        place = for_all(tables, place)
    table = labels.append_column("x", pa.array(place[:, 0].astype(np.float32)))
    table = table.append_column("y", pa.array(place[:, 1].astype(np.float32))).append_column("neighbors", rows)
    is_numbered = numbered_rows(results.store) is not None
    return table if input_url is None else _beside(table, input_url, results.manifest["config"], is_numbered)


def _nearest(tables: Tables, name: str) -> np.ndarray:
    """Return a column (M, `SHOWN`) of the nearest neighbors."""
    shards = range(len(tables.bounds) - 1)
    return np.concatenate([tables.block("knn", number, [name])[name][:, :SHOWN] for number in shards])


def positions(vectors: Vectors, neighbor: np.ndarray, cluster: np.ndarray) -> Float64:
    """Return positions (M, 2).

    Parameters
    ----------
    vectors
        (M, D) unit rows.
    neighbor
        (M, K), -1 past the last one.
    cluster
        (M,)
    """
    same = cluster[np.maximum(neighbor, 0)] == cluster[:, None]
    epochs = int(np.clip(MOST_PULLS // neighbor.size, *EPOCHS))
    return layout(main_axes(vectors), neighbor, np.where(same, np.float32(1), ELSEWHERE), epochs)


def main_axes(vectors: Vectors) -> Float64:
    """Return the rows (M, D) on their two main axes, about 10 wide.

    The largest entry of an axis is positive.
    """
    rows, width = vectors.shape
    total, products = np.zeros(width), np.zeros((width, width))
    for start in range(0, rows, BLOCK):
        block = np.asarray(vectors[start : start + BLOCK], np.float64)
        total += block.sum(axis=0)
        products += block.T @ block
    mean = total / rows
    _, axes = np.linalg.eigh(products / rows - np.outer(mean, mean))
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    flat = np.zeros((rows, 2))
    for start in range(0, rows, BLOCK):
        block = np.asarray(vectors[start : start + BLOCK], np.float64) - mean
        flat[start : start + BLOCK, : axes.shape[1]] = block @ axes
    return 10 * flat / max(np.ptp(flat, axis=0).max(), 1e-9)


def _columns(tables: Tables, neighbor: np.ndarray, similarity: np.ndarray) -> pa.Array:
    """Return the neighbors of all rows: row numbers and distances.

    A short list repeats its own row, at distance 0.
    """
    copies, rows = tables.copies, np.arange(len(neighbor))
    is_there = neighbor >= 0
    ids = np.where(is_there, neighbor, rows[:, None])
    distance = np.where(is_there, np.maximum(1 - similarity, 0), 0).astype(np.float32)
    if copies is not None:
        ids = copies.first[ids]
    ids, distance = for_all(tables, ids).astype(np.int64), for_all(tables, distance)
    offsets = pa.array(np.arange(0, ids.size + 1, ids.shape[1], dtype=np.int32))
    lists = [pa.ListArray.from_arrays(offsets, pa.array(values.ravel())) for values in (ids, distance)]
    return pa.StructArray.from_arrays(lists, ["ids", "distances"])


def _beside(table: pa.Table, url: str, config: dict[str, object], is_numbered: bool) -> pa.Table:
    """Return a table with the user's other columns.

    They are joined by id; the first row of an id counts.
    """
    id_column, vectors = str(config["id_column"]), str(config["embedding_column"])
    ids = table.select(["id"])
    user = pa.concat_tables(list(joined(ids, url, id_column, is_numbered=is_numbered)))
    if id_column in user.column_names:
        keys = ids_as(user[id_column], table["id"].type, f"{url}, column '{id_column}'")
    else:
        keys = pa.chunked_array([pa.array(range(user.num_rows), table["id"].type)])
    row = pc.index_in(table["id"], value_set=keys.combine_chunks())
    for name in user.column_names:
        if name not in (id_column, vectors):
            shown = name if name not in table.column_names else f"input_{name}"
            table = table.append_column(shown, user[name].take(row))
    return table
