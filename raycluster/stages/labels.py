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

from collections.abc import Iterator

import pyarrow as pa

from raycluster.config.stages import Config
from raycluster.models.card import load_card
from raycluster.models.strength import Block, Valued, calibrated_strength, margins
from raycluster.stages.edges import edges_in_force, limits_of
from raycluster.stages.label_columns import Labels, describe
from raycluster.stages.rejoin import identities_of
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage, shards_of_all
from raycluster.storage import schemas
from raycluster.storage.tables import Facts, Output, Tables

LINK_BYTES, ROW_BYTES = 46.0, 100.0
"""Peak bytes per link and per row of describing clusters, measured with a tenth of the links between them; the gathered
edges are 12 of the 46."""


def strength_weights(config: Config) -> dict[str, float]:
    """Return the weights by which the model was calibrated for strength.

    Empty where no model scores all neighbors, or the model was not calibrated for it.
    """
    if config.relations.score != "all":
        return {}
    card, _ = load_card(str(config.model))
    return card.strength


def _scored(tables: Tables) -> Iterator[Block]:
    """Yield lists with scores and similarities."""
    neighbors = tables.blocks("knn", ["neighbor", "similarity"])
    for start, knn, relations in zip(tables.bounds, neighbors, tables.blocks("relations", ["score"]), strict=False):
        yield start, knn["neighbor"], relations["score"], knn["similarity"]


def _valued(tables: Tables) -> Iterator[Valued]:
    """Yield lists with scores where these make the edges, else with similarities."""
    if tables.config.relations.score == "all" and limits_of(tables).threshold is None:
        neighbors = tables.blocks("knn", ["neighbor"])
        for start, knn, relations in zip(tables.bounds, neighbors, tables.blocks("relations", ["score"]), strict=False):
            yield start, knn["neighbor"], relations["score"]
        return
    for start, knn in zip(tables.bounds, tables.blocks("knn", ["neighbor", "similarity"]), strict=False):
        yield start, knn["neighbor"], knn["similarity"]


def labels_of(tables: Tables) -> Labels:
    """Return the labels of all rows, copies included; described once per process."""

    def described() -> Labels:
        edges, config, copies = edges_in_force(tables), tables.config, tables.copies
        scored, valued, model = _scored(tables), _valued(tables), strength_weights(tables.config)
        cluster, limits, strength = identities_of(tables), limits_of(tables), None
        if model and limits.threshold is None:  # scores that were set aside do not measure strength
            strength = calibrated_strength(model, cluster, scored, tables.facts("relations"), limits.eta)
        # other rules limit something else than values
        least = limits.swept_value if config.edges.rule in ("score", "threshold") else 0.0
        margin = margins(cluster, valued, least)
        weights = None if copies is None else copies.weights
        labels = describe(cluster, **edges, config=config.labels, strength=strength, weights=weights, margin=margin)
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
