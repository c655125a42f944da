"""Every Parquet schema of a run, and how arrays travel in and out of them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def vector(kind: pa.DataType, width: int) -> pa.DataType:
    """Fixed-size list of non-null elements: the layout that reads fastest."""
    return pa.list_(pa.field("element", kind, nullable=False), width)


def sorted_ids(id_type: pa.DataType) -> pa.Schema:
    """Ids of a few pieces in their order, with their positions in the input."""
    return pa.schema([("id", id_type), ("position", pa.int64())])


def ordered_ids(id_type: pa.DataType) -> pa.Schema:
    """One range of ids.

    id                  in their order
    position, place     in the order of positions: where a row lies in the input, and which of the range's ids it has
    """
    return pa.schema([("id", id_type), ("position", pa.int64()), ("place", pa.int64())])


RANKS = pa.schema([("rank", pa.int64())])
"""The place in the order of ids of every row of a piece, one block per piece."""


def ingest(width: int) -> pa.Schema:
    """Checked and normalized input rows with their place `rank` in the order of ids."""
    return pa.schema([("rank", pa.int64()), ("embedding", vector(pa.float32(), width))])


def embeddings(id_type: pa.DataType) -> pa.Schema:
    """`row` is dense, in the order of ids.

    The vector of a row stays where it was ingested.
    """
    return pa.schema([("row", pa.int32()), ("id", id_type)])


DUPLICATES = pa.schema([("row", pa.int32()), ("original", pa.int32())])
"""Rows that are copies, each with the lowest row of the same vector."""

COARSE_LISTS = pa.schema([("row", pa.int32()), ("list", pa.int32())])


def knn(k: int) -> pa.Schema:
    """Descending similarity, the row itself first.

    Neighbor -1 and similarity -1 where a list is short.
    """
    return pa.schema(
        [("row", pa.int32()), ("neighbor", vector(pa.int32(), k)), ("similarity", vector(pa.float32(), k))]
    )


TOPK = pa.schema([("row", pa.int32()), ("k", pa.int16()), ("confidence", pa.float32())])


def contexts(width: int) -> pa.Schema:
    """The vector of every row that a Relation Encoder made of its neighborhood."""
    return pa.schema([("row", pa.int32()), ("context", vector(pa.float32(), width))])


def relations(k: int) -> pa.Schema:
    """Score of every kNN pair, NaN where a recipe does not score."""
    return pa.schema([("row", pa.int32()), ("score", vector(pa.float32(), k))])


DENSITY = pa.schema([("row", pa.int32()), ("density", pa.float32())])

EDGES = pa.schema(
    [
        ("source", pa.int32()),
        ("target", pa.int32()),
        ("weight", pa.float32()),
        ("nep", pa.float32()),
        ("score", pa.float32()),
        ("similarity", pa.float32()),
    ]
)

REJOINED = pa.schema([("row", pa.int32()), ("community", pa.int32())])

COMMUNITIES = pa.schema([("row", pa.int32()), ("community", pa.int32()), ("flow", pa.float64())])


def labels(id_type: pa.DataType) -> pa.Schema:
    """One row per row of the set.

    id                  the user's id
    cluster_id          identity, 0..C-1
    strength            probability that the row belongs there, 0..1; null for a row alone
    is_outlier          the configuration marks the row by strength, or by the size of its cluster
    is_representative   one row per cluster, to show for it
    cluster_size        rows of the cluster; 1 is a row alone
    runner_up           other cluster with the most of the row's edges; null where there is none
    margin              lead of the own cluster over the best other one, -1..1; sorted ascending, doubtful rows come first.
                        Null for a row alone
    """
    return pa.schema(
        [
            ("id", id_type),
            ("cluster_id", pa.int64()),
            ("strength", pa.float32()),
            ("is_outlier", pa.bool_()),
            ("is_representative", pa.bool_()),
            ("cluster_size", pa.int64()),
            ("runner_up", pa.int64()),
            ("margin", pa.float32()),
        ]
    )


def clusters(id_type: pa.DataType) -> pa.Schema:
    """One row per cluster."""
    return pa.schema(
        [
            ("cluster_id", pa.int64()),
            ("size", pa.int64()),
            ("representative", id_type),
            ("mean_strength", pa.float32()),
            ("inner_weight", pa.float64()),
            ("outer_weight", pa.float64()),
        ]
    )


def dropped(id_type: pa.DataType) -> pa.Schema:
    """Input rows that were left out, and why."""
    return pa.schema([("id", id_type), ("file", pa.string()), ("row", pa.int64()), ("reason", pa.string())])


def duplicates(id_type: pa.DataType) -> pa.Schema:
    """Rows that are exact copies, and the first row of the same vector by id."""
    return pa.schema([("id", id_type), ("original", id_type)])


def bytes_per_row(schema: pa.Schema) -> float:
    """Return the bytes of one row before compression, 16 per string or binary id."""
    return sum(_bytes_per_value(field.type) for field in schema)


def _bytes_per_value(kind: pa.DataType) -> float:
    if pa.types.is_fixed_size_list(kind):
        return kind.list_size * _bytes_per_value(kind.value_type)
    return kind.bit_width / 8 if pa.types.is_primitive(kind) else 16.0


def to_array(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return a column of a run's own table as an array.

    Its shape is (rows,), or (rows, width) of a fixed-size list.
    """
    return to_matrix(column) if pa.types.is_fixed_size_list(column.type) else np.asarray(column.to_numpy())


def cluster_ids(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return cluster ids (N,); rows without one get numbers of their own."""
    ids: npt.NDArray[np.int64] = column.fill_null(-1).to_numpy().astype(np.int64)
    alone = np.flatnonzero(ids < 0)
    ids[alone] = ids.max(initial=-1) + 1 + np.arange(len(alone))
    return ids


def to_matrix(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """A fixed-size-list column of a run's own table as an array (rows, width)."""
    width = column.type.list_size
    chunks = [chunk.flatten().to_numpy(zero_copy_only=True).reshape(-1, width) for chunk in column.chunks]
    return np.concatenate(chunks) if chunks else np.empty((0, width), column.type.value_type.to_pandas_dtype())


def from_columns(schema: pa.Schema, **columns: Any) -> pa.Table:
    """Return a table of `schema` from numpy or Arrow columns.

    2-d arrays become fixed-size lists.
    """
    arrays = []
    for field in schema:
        values = columns[field.name]
        if isinstance(values, pa.ChunkedArray | pa.Array):
            arrays.append(values.cast(field.type))
        elif pa.types.is_fixed_size_list(field.type):
            flat = pa.array(np.ascontiguousarray(values).ravel(), field.type.value_type)
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)
