"""knn, topk, contexts -> a learned score in 0..1: is a neighbor the same identity?

`all` neighbors are scored, or, with `recall`, those that the early-stop walk left out and whose NEP reaches the model's floor
(S1, FC-ESER). Other ranks hold NaN. Recipes without a predictor have no such stage.
"""

from typing import Any, cast

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float32, Vectors
from raycluster.config.stages import Config
from raycluster.errors import ConfigError
from raycluster.kernels.edge_rules import recallable
from raycluster.limits.configured import configured_or_calibrated
from raycluster.limits.measured_vectors import MeasuredVectors
from raycluster.limits.random_pairs import RandomPairs, sample_pairs
from raycluster.limits.without_valley import Picked
from raycluster.models.card import load_card
from raycluster.models.ranked_columns import RankedColumns
from raycluster.models.requirements import thresholds_of
from raycluster.models.scored_set import ScoredSet
from raycluster.models.scoring import open_scorer
from raycluster.models.second_opinion import pooled
from raycluster.models.set_statistics import measure, ranks_read
from raycluster.stages.coarse_lists import copy_of_vectors
from raycluster.stages.contexts import copy_of_contexts
from raycluster.stages.ingest import few_vectors, vectors_of
from raycluster.stages.knn import few_neighbors, is_uniform, similarity_of
from raycluster.stages.knn_cost import copy_of_neighbors
from raycluster.stages.nep import copies_of_probabilities, nep_of
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage
from raycluster.stages.topk import NETWORK_RATE, copy_of_counts, counts_of, network_bytes
from raycluster.storage import schemas
from raycluster.storage.tables import Conversion, Facts, Output, Tables, Task


def scores_of(tables: Tables) -> Float32 | None:
    """Return learned scores (N, K) of all rows.

    None for a recipe without a predictor.
    """
    return None if tables.config.relations.score == "none" else tables.column("relations", "score")


def few_scores(tables: Tables) -> Float32 | None:
    """Return `scores_of` for readers of few rows: without a copy of all."""
    if tables.config.relations.score == "none":
        return None
    return tables.few_rows("relations", "score", tables.config.knn.k, "float32")


def measured_vectors(tables: Tables) -> Vectors:
    """Return the unit rows, of which few are read, with their random pairs.

    Pairs come from what the predictor has measured. Without it they are drawn from a copy of all rows.
    """

    def pairs() -> RandomPairs:
        has_measured = tables.config.relations.score != "none" and "background" in tables.facts("relations")
        return (
            RandomPairs(*tables.facts("relations")["background"]) if has_measured else sample_pairs(vectors_of(tables))
        )

    return cast("Vectors", MeasuredVectors(few_vectors(tables), pairs))  # it is indexed as the rows are


def picked_before(tables: Tables) -> Picked | None:
    """Return the threshold that was picked when the set was measured.

    None where its similarities were measured in another way than limits read them, or not at all.
    """
    picked = tables.facts("relations").get("picked")
    return None if picked is None else (picked[0], picked[1])


def measure_set(tables: Tables) -> Facts:
    """Return what the predictor reads of the whole set.

    With `recall` these are also the limits that choose the scored pairs.
    """
    config = tables.config
    if is_uniform(tables):
        return {}
    card, _ = load_card(str(config.model))
    neighbor, similarity = tables.column("knn", "neighbor"), few_neighbors(tables)[1]
    facts = measure(card.training.predictor.form, neighbor, similarity, vectors_of(tables))
    if config.relations.score == "recall":
        thresholds = thresholds_of(config)
        facts["theta"] = configured_or_calibrated("edges.theta", config.edges.theta, thresholds)
        facts["floor"] = _floor(config, thresholds)
    return facts


def _floor(config: Config, calibrated: dict[str, float]) -> float:
    """Return the lowest NEP of a scored neighbor.

    Raises ConfigError where the model was calibrated to none.
    """
    if "floor" not in calibrated:
        raise ConfigError(f"The model {config.model} was not calibrated for edge recall: its card has no floor of NEP.")
    return calibrated["floor"]


def open_relations(tables: Tables) -> ShardFunction:
    """Return the function that scores one shard's pairs; the model is opened once."""
    if is_uniform(tables):
        return _all_same(tables)
    config, facts = tables.config, tables.facts("relations")
    card, _ = load_card(str(config.model))
    neighbor = tables.column("knn", "neighbor")
    contexts = tables.column("contexts", "context", config.knn.storage) if config.contexts.encode else None
    similarity, vectors = _similarity_at_ranks(tables), vectors_of(tables)
    scored_set = ScoredSet(neighbor, similarity, vectors, facts, counts_of(tables), contexts)
    predictor = open_scorer(str(config.model), card, scored_set, threads=tables.threads)

    def score(task: Task) -> Output:
        if config.relations.score == "all":
            scores = pooled(card, predictor.score_rows(task.start, task.stop), similarity_of(tables, task), facts)
        else:
            pairs = recallable(neighbor[task.rows], nep_of(tables, task), facts["theta"], facts["floor"])
            scores = predictor.score_pairs(task.start, task.stop, pairs)
        rows = np.arange(task.start, task.stop, dtype=np.int32)
        return Output([{"row": rows, "score": scores}], {"scored": int(np.count_nonzero(~np.isnan(scores)))})

    return score


def _similarity_at_ranks(tables: Tables) -> RankedColumns:
    """Return what networks read of the similarities of all rows."""
    k = tables.config.knn.k
    ranks = ranks_read(k)
    at_ranks = Conversion(f"ranks-{k}", lambda similarity: np.ascontiguousarray(similarity[:, ranks]))
    return RankedColumns(tables.column("knn", "similarity", "float32", at_ranks), ranks, k)


def _all_same(tables: Tables) -> ShardFunction:
    """Return the function that scores equal rows: 1 for every neighbor."""
    neighbor = tables.column("knn", "neighbor")

    def score(task: Task) -> Output:
        scores = np.where(neighbor[task.rows] >= 0, np.float32(1), np.float32(np.nan))
        scores[:, 0] = np.nan
        return Output([{"row": np.arange(task.start, task.stop, dtype=np.int32), "score": scores}], {"scored": 0})

    return score


def settings(config: Config) -> Any:
    """Return what changes a score: the model, and what chooses the pairs."""
    rule = config.edges
    chosen = (rule.theta, rule.transform, rule.tau, rule.delta, rule.count_pair)
    return [config.relations.__dict__, config.model_digest, chosen if config.relations.score == "recall" else None]


def _cost(size: ProblemSize, config: Config) -> Cost:
    nep = copies_of_probabilities(size, config) if config.relations.score == "recall" else {}
    tables = copy_of_vectors(size, config) | copy_of_neighbors(size, config) | copy_of_counts(size, config)
    tables["knn.similarity.ranks"] = 4.0 * size.rows * len(ranks_read(config.knn.k))
    return Cost(
        work=float(size.rows * config.knn.k),
        rate=NETWORK_RATE,
        compression=0.33,
        worker_bytes=network_bytes(size, config),
        copies=tables | copy_of_contexts(size, config) | nep,
        copies_once=copy_of_vectors(size, config) | copy_of_neighbors(size, config),
        is_threaded=True,
    )


def _schema(config: Config, id_type: pa.DataType, width: int) -> pa.Schema:  # noqa: ARG001
    return schemas.relations(config.knn.k)


RELATIONS = Stage(
    name="relations",
    reads=("knn", "topk", "contexts"),
    revision=5,
    writes=_schema,
    settings=settings,
    is_wanted=lambda config: config.relations.score != "none",
    once=measure_set,
    open=open_relations,
    gpu=True,
    is_scored=True,
    cost=_cost,
)
