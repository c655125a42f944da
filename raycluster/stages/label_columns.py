"""A partition and its edges -> the columns of labels and clusters, on arrays.

Shapes: N rows, E edges in force, C clusters. What the columns mean stands in `raycluster.stages.labels`.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array, Bool, Float32, Float64, Int32, Int64
from raycluster.config.stages import LabelsConfig
from raycluster.kernels.weight_sums import runner_ups, weight_sums
from raycluster.storage import schemas
from raycluster.storage.copies import Copies

DEFAULT_SIZE = LabelsConfig().min_cluster_size
"""Up to here no row is an outlier for the size of its cluster: rows alone are counted and need no second mark."""

ROW_COLUMNS = ("cluster_id", "strength", "is_outlier", "is_representative", "cluster_size", "runner_up", "margin")
"""Columns of rows in the labels table, beside the id."""


@dataclass(frozen=True)
class Labels:
    """Columns of labels (N rows) and of clusters (C clusters)."""

    cluster_id: Int32
    strength: Float64
    """NaN for a row that is alone, and so is `margin`."""
    is_outlier: Bool
    is_representative: Bool
    cluster_size: Int64
    runner_up: Int64
    """-1 where there is none."""
    margin: Float64
    representative: Int64
    """Row number (C,) of each cluster's representative."""
    mean_strength: Float64
    inner_weight: Float64
    """Edge weight inside each cluster (C,)."""
    outer_weight: Float64
    """Edge weight between each cluster and others (C,)."""

    def in_rows(self, order: Int64) -> "Labels":
        """The same labels for rows numbered otherwise: this row i is row `order[i]` there."""
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        moved = {name: getattr(self, name)[back] for name in ROW_COLUMNS}
        return replace(self, **moved, representative=order[self.representative])

    def for_all(self, copies: Copies) -> "Labels":
        """Return the labels of all rows from these, of distinct rows."""
        rows = ("cluster_id", "strength", "is_outlier", "cluster_size", "runner_up", "margin")
        representative = copies.first[self.representative]
        is_representative = np.zeros(len(copies.distinct), bool)
        is_representative[representative] = True
        spread = {name: copies.for_all(getattr(self, name)) for name in rows}
        return replace(self, **spread, representative=representative, is_representative=is_representative)

    @property
    def singletons(self) -> int:
        """Clusters of one row."""
        return int((self.cluster_size == 1).sum())

    def columns(self, rows: slice | Int64) -> dict[str, pa.Array]:
        """Return `ROW_COLUMNS` of some rows, with nulls as the labels table has them."""
        columns = {name: nulls_for_nan(getattr(self, name)[rows]) for name in ROW_COLUMNS}
        return columns | {"runner_up": pa.array(self.runner_up[rows], mask=self.runner_up[rows] < 0)}

    def table(self, ids: pa.Array) -> pa.Table:
        """Return the labels table from the ids (N,) of all rows."""
        columns = self.columns(slice(None))
        return schemas.from_columns(schemas.labels(ids.type), id=ids, **columns)

    def clusters_table(self, representatives: pa.Array | pa.ChunkedArray, id_type: pa.DataType) -> pa.Table:
        """Return one row per cluster from the ids (C,) of the rows that represent them."""
        count, mean_strength = len(self.representative), nulls_for_nan(self.mean_strength)
        return schemas.from_columns(
            schemas.clusters(id_type),
            cluster_id=np.arange(count),
            size=np.bincount(self.cluster_id, minlength=count),
            representative=representatives,
            mean_strength=mean_strength,
            inner_weight=self.inner_weight,
            outer_weight=self.outer_weight,
        )


def nulls_for_nan(values: Array) -> pa.Array:
    """Return an Arrow column with nulls for NaN, which rows alone have."""
    return pa.array(values, mask=np.isnan(values) if values.dtype.kind == "f" else None)


def describe(
    cluster: Int32,
    source: Int32,
    target: Int32,
    weight: Float32,
    config: LabelsConfig,
    strength: Float64 | None = None,
    weights: Int64 | None = None,
    margin: Float64 | None = None,
) -> Labels:
    """Return the labels of all rows.

    Parameters
    ----------
    cluster : int32 (N,)
        Cluster of every row, numbered 0..C-1 without gaps.
    source, target, weight : (E,)
        The edges in force.
    config
        What makes an outlier.
    strength : float64 (N,), optional
        As a model has calibrated it; none means the share.
    weights : int64 (N,), optional
        How many rows each stands for; none means one. Sizes and means count them all.
    margin : float64 (N,), optional
        By scores or similarities; none means by edge weight: the share less the runner-up's.
    """
    rows, count = len(cluster), int(cluster.max(initial=-1)) + 1
    inner, outer, is_outer = weight_sums(cluster, source, target, weight)
    total = inner + outer
    some = total > 0
    if strength is None:
        strength = np.divide(inner, total, out=np.ones(rows), where=some)
    runner_up, best = runner_ups(cluster, source, target, weight, is_outer)
    if margin is None:
        margin = np.divide(inner - best, total, out=np.ones(rows), where=some)
    weights = np.ones(rows, np.int64) if weights is None else weights
    size = np.bincount(cluster, minlength=count)
    by_weight = np.lexsort((np.arange(rows), -inner, cluster))
    representative = by_weight[np.concatenate([[0], np.cumsum(size)[:-1]])] if count else np.empty(0, np.int64)
    is_representative = np.zeros(rows, bool)
    is_representative[representative] = True
    size = np.bincount(cluster, weights, count).astype(np.int64)
    is_alone = size[cluster] == 1
    strength, margin = np.where(is_alone, np.nan, strength), np.where(is_alone, np.nan, margin)
    is_small = size[cluster] < (config.min_cluster_size if config.min_cluster_size > DEFAULT_SIZE else 0)
    return Labels(
        cluster_id=cluster,
        strength=strength,
        is_outlier=is_small | (strength < config.min_strength),
        is_representative=is_representative,
        cluster_size=size[cluster],
        runner_up=runner_up,
        margin=margin,
        representative=representative,
        mean_strength=np.bincount(cluster, strength * weights, count) / np.maximum(size, 1),
        inner_weight=np.bincount(cluster, inner, count) / 2,
        outer_weight=np.bincount(cluster, outer, count).astype(np.float64),
    )
