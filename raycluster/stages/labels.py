"""communities, edges, relations -> labels of rows, summaries of clusters.

    share        of the row's edge weight that stays in its cluster, 0..1; 1 for a row without edges
    strength     probability that the row is of the majority identity of its cluster, by a model that was calibrated for it
                 (`raycluster.models.strength`); the share, without such a model. Null for a row that is alone
    runner_up    cluster that gets the most of the rest; null where there is none
    margin       mean value of the row's pairs within its cluster, less the greater of two: that with the best other cluster
                 of its list, and the edge limit; -1..1, null for a row that is alone. Values are scores, else cosines, below
                 the limit as well
    is_outlier   the cluster is smaller than labels.min-cluster-size, or strength below labels.min-strength. A row that is
                 alone is one only where the size is raised above its default
    mean_strength    mean over the cluster's rows; null for a row that is alone
    representative   the row with the most edge weight inside its cluster, ties to the lowest row

Edges count at both ends, a negative weight as none. Weights add up in float64 in edge order, so shards do not matter.
"""

import itertools
from collections.abc import Iterator, Mapping

import pyarrow as pa

from raycluster.arrays import Float32
from raycluster.config.stages import Config
from raycluster.kernels.neighborhoods.pair_sums import Block, PairSums, both_limits
from raycluster.models.card import strength_weights
from raycluster.models.set_statistics import similarity_limit
from raycluster.models.strength import Evidence
from raycluster.stages.communities import identities_of
from raycluster.stages.edges import edges_in_force, limits_of
from raycluster.stages.label_columns import Labels, describe
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage, shards_of_all
from raycluster.storage import schemas
from raycluster.storage.tables import Facts, Output, Tables

LINK_BYTES, ROW_BYTES = 16.0, 100.0
"""Peak bytes per link and per row of describing clusters, measured with a tenth of the links between them (19 with three
tenths). The gathered edges are 12 of the 16."""


def _lists(tables: Tables) -> Iterator[Block]:
    """Yield the lists of all rows, with scores where all neighbors have one."""
    scored: Iterator[Mapping[str, Float32 | None]] = itertools.repeat({"score": None})
    if tables.config.relations.score == "all":
        scored = tables.blocks("relations", ["score"])
    neighbors = tables.blocks("knn", ["neighbor", "similarity"])
    for start, knn, relations in zip(tables.bounds, neighbors, scored, strict=False):
        yield start, knn["neighbor"], knn["similarity"], relations["score"]


def labels_of(tables: Tables) -> Labels:
    """Return the labels of all rows, copies included; described once per process."""

    def described() -> Labels:
        config, copies, lists = tables.config, tables.copies, _lists(tables)
        has_scores = config.relations.score == "all"
        near = similarity_limit(tables.facts("relations")) if has_scores else None
        weights = strength_weights(str(config.model)) if has_scores else {}
        edges, limits, cluster = edges_in_force(tables), limits_of(tables), identities_of(tables)
        by_score = has_scores and limits.threshold is None  # else scores were set aside
        is_calibrated = bool(weights) and by_score
        sums = PairSums.of(cluster, lists, both_limits(limits.eta, near) if is_calibrated else None, by_score=by_score)
        # other rules limit something else than values
        margin = sums.margins(limits.swept_value if config.edges.rule in ("score", "threshold") else 0.0)
        strength = Evidence.of(cluster, sums).strength(weights) if is_calibrated else None
        shares = None if copies is None else copies.weights
        labels = describe(cluster, **edges, config=config.labels, strength=strength, weights=shares, margin=margin)
        return labels if copies is None else labels.for_all(copies)

    return tables.shared("labels", described)


def open_labels(tables: Tables) -> ShardFunction:
    """Return the function of one row shard's labels."""
    labels = labels_of(tables)
    return lambda task: Output([{"id": tables.ids(task), **labels.columns(task.rows)}])


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
    scored = {"knn": 2 * table, "relations": table} if config.relations.score == "all" else {}
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
    revision=3,
    settings=lambda config: [config.labels.__dict__, config.model_digest],
    is_global=lambda config: True,
    tasks=shards_of_all,
    open=open_labels,
    headline=headline,
    cost=_cost,
)
