"""communities, edges, relations -> a label for every row, and a summary of every cluster.

    share        of the row's edge weight that stays in its cluster, 0..1; 1 for a row without edges
    strength     probability that the row is of the majority identity of its cluster, by a model that was calibrated for it
                 (`raycluster.models.strength`); the share, without such a model. Null for a row that is alone
    runner_up    cluster that gets the most of the rest; null where there is none
    margin       mean value of the row's pairs within its cluster, less that with the best other cluster of its list or the
                 edge limit, whichever is more; -1..1, null for a row that is alone. Values are scores, else cosines, below
                 the limit as well
    is_outlier   the cluster is smaller than labels.min-cluster-size, or strength below labels.min-strength. A row that is
                 alone is one only where the size is raised above its default
    mean_strength    mean over the cluster's rows; null for a row that is alone
    representative   the row with the most edge weight inside its cluster, ties to the lowest row

Edges count at both ends, a negative weight as none. Weights add up in float64 in edge order, so shards do not matter.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array, Bool, Float32, Float64, Int32, Int64
from raycluster.config.stages import Config, LabelsConfig
from raycluster.kernels.neighborhoods.margins import best_others
from raycluster.models.card import load_card
from raycluster.models.strength import UNIT, Block, Evidence, gather
from raycluster.stages.edges import edges_in_force, limits_of
from raycluster.stages.rejoin import identities_of
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage, shards_of_all
from raycluster.storage import schemas
from raycluster.storage.copies import Copies
from raycluster.storage.tables import Facts, Output, Tables, Task

LINK_BYTES, ROW_BYTES = 46.0, 100.0
"""Peak bytes per link and per row of describing clusters, measured with a tenth of the links between them; the gathered
edges are 12 of the 46."""


DEFAULT_SIZE = LabelsConfig().min_cluster_size
"""Up to here no row is an outlier for the size of its cluster: rows alone are counted and need no second mark."""


@dataclass(frozen=True)
class Labels:
    """Columns of the labels table for N rows, and of the clusters table for C clusters."""

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
        rows = ("cluster_id", "strength", "is_outlier", "is_representative", "cluster_size", "runner_up", "margin")
        moved = {name: getattr(self, name)[back] for name in rows}
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
    wide = np.maximum(weight, 0).astype(np.float64)
    inside = cluster[source] == cluster[target]
    inner = _at_both_ends(source[inside], target[inside], wide[inside], rows)
    outer = _at_both_ends(source[~inside], target[~inside], wide[~inside], rows)
    total = inner + outer
    some = total > 0
    if strength is None:
        strength = np.divide(inner, total, out=np.ones(rows), where=some)
    runner_up, best = _runner_up(cluster, source[~inside], target[~inside], wide[~inside])
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


def _at_both_ends(source: Int32, target: Int32, weight: Float64, rows: int) -> Float64:
    both = np.bincount(source, weight, rows) + np.bincount(target, weight, rows)
    return both.astype(np.float64)


def _runner_up(cluster: Int32, source: Int32, target: Int32, weight: Float64) -> tuple[Int64, Float64]:
    """For each row, the other cluster it shares most edge weight with, and that weight."""
    rows = len(cluster)
    runner_up, best = np.full(rows, -1, np.int64), np.zeros(rows)
    if len(source) == 0:
        return runner_up, best
    row = np.concatenate([source, target]).astype(np.int64)
    other = np.concatenate([cluster[target], cluster[source]]).astype(np.int64)
    pairs, inverse = np.unique(row * rows + other, return_inverse=True)
    sums = np.bincount(inverse, np.concatenate([weight, weight]))
    row, other = pairs // rows, pairs % rows
    order = np.lexsort((other, -sums, row))
    row, first = np.unique(row[order], return_index=True)
    runner_up[row], best[row] = other[order][first], sums[order][first]
    runner_up[best == 0] = -1
    return runner_up, best


def calibrated_strength(config: Config, cluster: Int32, blocks: Iterable[Block]) -> Float64 | None:
    """Return strengths (N,) by the model, from clusters (N,) and the neighbors and scores of all rows.

    None where no model scores all neighbors, or the model was not calibrated for strength.
    """
    if config.relations.score != "all":
        return None
    card, _ = load_card(str(config.model))
    return Evidence.of(cluster, blocks).strength(card.strength) if card.strength else None


def _blocks(tables: Tables) -> Iterator[Block]:
    neighbors = tables.blocks("knn", ["neighbor"])
    for start, knn, relations in zip(tables.bounds, neighbors, tables.blocks("relations", ["score"]), strict=False):
        yield start, knn["neighbor"], relations["score"]


def valued(tables: Tables) -> Iterator[Block]:
    """Yield first row, neighbors and values of all rows: scores where they make the edges, else similarities."""
    if tables.config.relations.score == "all" and limits_of(tables).threshold is None:
        yield from _blocks(tables)
        return
    for start, knn in zip(tables.bounds, tables.blocks("knn", ["neighbor", "similarity"]), strict=False):
        yield start, knn["neighbor"], knn["similarity"]


def margins(tables: Tables, cluster: Int32) -> Float64:
    """Return the margin (N,) of every row in its cluster (N,).

    Means over pairs of both ends do not depend on shards.
    """
    rows, limits = len(cluster), limits_of(tables)
    total, pairs, best = np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.empty(rows)
    for start, neighbor, value in valued(tables):
        gather(start, cluster, neighbor, value, total, pairs)
        best[start : start + len(neighbor)] = best_others(start, cluster, neighbor, value)
    is_of_value = tables.config.edges.rule in ("score", "threshold")  # other rules limit something else
    own = np.where(pairs > 0, total / UNIT / np.maximum(pairs, 1), 1.0)  # a row beside nothing but its copies
    return own - np.maximum(best, limits.swept_value if is_of_value else 0.0)


def labels_of(tables: Tables) -> Labels:
    """Return the labels of all rows, copies included; described once per process."""

    def described() -> Labels:
        cluster = identities_of(tables)
        # Scores that were set aside do not measure strength.
        has_scores = limits_of(tables).threshold is None
        strength = calibrated_strength(tables.config, cluster, _blocks(tables)) if has_scores else None
        copies, config = tables.copies, tables.config.labels
        weights = None if copies is None else copies.weights
        edges, margin = edges_in_force(tables), margins(tables, cluster)
        labels = describe(cluster, **edges, config=config, strength=strength, weights=weights, margin=margin)
        return labels if copies is None else labels.for_all(copies)

    return tables.shared("labels", described)


def nulls_for_nan(values: Array) -> pa.Array:
    """Return an Arrow column with a null where a value is NaN: what a row alone does not have."""
    return pa.array(values, mask=np.isnan(values) if values.dtype.kind == "f" else None)


def open_labels(tables: Tables) -> ShardFunction:
    """Return the function of one row shard's labels."""
    labels = labels_of(tables)
    names = ("cluster_id", "strength", "is_outlier", "is_representative", "cluster_size", "margin")

    def shard_labels(task: Task) -> Output:
        runner_up = labels.runner_up[task.rows]
        columns = {name: nulls_for_nan(getattr(labels, name)[task.rows]) for name in names}
        return Output([{"id": tables.ids(task), "runner_up": pa.array(runner_up, mask=runner_up < 0), **columns}])

    return shard_labels


def clusters_table(tables: Tables, ids: pa.ChunkedArray) -> pa.Table:
    """Return one row per cluster; `ids` (N,) are those of all rows, in order."""
    labels = labels_of(tables)
    return schemas.from_columns(
        schemas.clusters(tables.id_type),
        cluster_id=np.arange(len(labels.representative)),
        size=np.bincount(labels.cluster_id, minlength=len(labels.representative)),
        representative=ids.take(pa.array(labels.representative)),
        mean_strength=nulls_for_nan(labels.mean_strength),
        inner_weight=labels.inner_weight,
        outer_weight=labels.outer_weight,
    )


def headline(tables: Tables) -> Facts:
    """Return how many clusters, singletons and outliers there are."""
    labels = labels_of(tables)
    return {
        "clusters": len(labels.representative),
        "singletons": labels.singletons,
        "largest": int(labels.cluster_size.max(initial=0)),
        "outliers": int(labels.is_outlier.sum()),
    }


def _cost(size: ProblemSize, config: Config) -> Cost:
    table = 4.0 * size.rows * config.knn.k
    scored = {"knn": table, "relations": table} if config.relations.score == "all" else {}
    return Cost(
        work=size.links + size.rows,
        rate=1.3e-7,
        driver_bytes=LINK_BYTES * size.links + ROW_BYTES * size.rows,
        streams={"edges": 20.0 * size.edges, "communities": 12.0 * size.rows, **scored},
        compression=0.2,
    )


def _schema(config: Config, id_type: pa.DataType, width: int) -> pa.Schema:  # noqa: ARG001
    return schemas.labels(id_type)


LABELS = Stage(
    name="labels",
    reads=("embeddings", "duplicates", "knn", "relations", "edges", "communities", "rejoin"),
    writes=_schema,
    revision=2,
    settings=lambda config: [config.labels.__dict__, config.model_digest],
    is_global=lambda config: True,
    tasks=shards_of_all,
    open=open_labels,
    headline=headline,
    cost=_cost,
)
