"""knn, topk, relations, density -> weighted edges, by one of five rules.

The edges of a shard follow from the shard: nothing is left to merge.

    threshold      undirected, similarity >= threshold, weight = similarity
    score          undirected, learned score >= eta, weight = score or its odds
    early-stop     directed (FC-ES): walk a row's neighbors in cosine order while NEP >= theta, weight = NEP; with a
                   relation predictor (FC-ESER, S1) later neighbors return whose score is at least eta, weight = score
    gap            undirected (FaceMap): neighbors before the first outlying similarity gap, weight = similarity / row sum
    density-peaks  each row to its closest denser neighbor (S2) if its closeness, 1 - distance, is above a limit;
                   weight = closeness

Edges up to `edges.reserve` below the limit are stored as well, and left out when they are read (`limits/in_force.py`). The
kernels are in `kernels/edge_rules.py`.

Shapes: N rows, K neighbors per row, E edges.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float32
from raycluster.config.stages import Config
from raycluster.kernels import edge_rules
from raycluster.kernels.edge_rules import Columns
from raycluster.limits.far_ranks import MAX_ROWS
from raycluster.limits.in_force import EdgeLimits, decide_limits, for_small_sets, passes_limits
from raycluster.models.requirements import thresholds_of
from raycluster.models.sample import sample_of, score_sample
from raycluster.stages.coarse_lists import copy_of_vectors
from raycluster.stages.density import copy_of_roots, peaks_of
from raycluster.stages.ingest import vectors_of
from raycluster.stages.knn import few_neighbors, neighbors_of, similarity_of
from raycluster.stages.knn_cost import copies_of_neighbors, copy_of_neighbors
from raycluster.stages.nep import NEP_RATE, copies_of_probabilities, nep_of
from raycluster.stages.relations import measured_vectors, picked_before, scores_of
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage
from raycluster.storage import schemas
from raycluster.storage.tables import Facts, Output, Tables, Task

Rule = Callable[[Tables, Task, EdgeLimits, float], Columns]
"""The edges of a shard's rows, down to a value of the swept limit."""
GRAPH = ("source", "target", "weight")
"""Columns that communities are found from."""
PICK_BYTES = 12.0
"""Peak memory per neighbor of a sampled row while a threshold is picked. Measured."""
EDGE_BYTES = 24.0
"""Bytes of one stored edge before compression."""


def _threshold_edges(tables: Tables, task: Task, limits: EdgeLimits, at: float) -> Columns:  # noqa: ARG001
    return edge_rules.threshold_edges(task.start, task.stop, *neighbors_of(tables), at)


def _score_edges(tables: Tables, task: Task, limits: EdgeLimits, at: float) -> Columns:
    if limits.threshold is not None:
        return _threshold_edges(tables, task, limits, at)
    config, score = tables.config.edges, scores_of(tables)
    assert score is not None, "rule score needs scores"
    return edge_rules.score_edges(
        task.start,
        task.stop,
        tables.column("knn", "neighbor"),
        similarity_of(tables, task),
        score,
        at,
        config.combine,
        lowest_similarity=limits.similarity,
        highest_odds=limits.highest_odds if config.weight == "odds" else None,
    )


def _early_stop_edges(tables: Tables, task: Task, limits: EdgeLimits, at: float) -> Columns:
    neighbor = tables.column("knn", "neighbor")[task.rows]
    assert limits.theta is not None, "a walk ends at theta"
    theta, eta = (at, np.inf) if limits.eta is None else (limits.theta, at)
    score = scores_of(tables)
    own_score = None if score is None else np.asarray(score[task.rows])
    nep = nep_of(tables, task)
    return edge_rules.early_stop_edges(task.start, neighbor, similarity_of(tables, task), nep, theta, own_score, eta)


def _gap_edges(tables: Tables, task: Task, limits: EdgeLimits, at: float) -> Columns:  # noqa: ARG001
    return edge_rules.gap_edges(task.start, task.stop, *neighbors_of(tables))


def _density_peak_edges(tables: Tables, task: Task, limits: EdgeLimits, at: float) -> Columns:  # noqa: ARG001
    neighbor, similarity = neighbors_of(tables)
    peaks = peaks_of(tables, task)
    if tables.config.edges.distance == "connectivity":
        least = tables.shared("least_connectivity", lambda: edge_rules.least_connectivity(similarity))
        return edge_rules.connected_edges(task.start, neighbor[task.rows], similarity[task.rows], *peaks, at, least)
    return edge_rules.density_peak_edges(task.start, neighbor[task.rows], similarity[task.rows], *peaks, at)


RULES: dict[str, Rule] = {
    "threshold": _threshold_edges,
    "score": _score_edges,
    "early-stop": _early_stop_edges,
    "gap": _gap_edges,
    "density-peaks": _density_peak_edges,
}


def limits_of(tables: Tables) -> EdgeLimits:
    """Return the limits in force."""
    return EdgeLimits.from_json(tables.facts("edges"))


def decide_once(tables: Tables) -> Facts:
    """Return the limits: configured, the model's, or read from the set."""
    config, score = tables.config, scores_of(tables)
    (neighbor, similarity), vectors = few_neighbors(tables), measured_vectors(tables)
    if score is not None:
        neighbor = tables.column("knn", "neighbor")  # a valley is sought in the lists of neighbors as well
    picked = None if score is None else picked_before(tables)
    limits = decide_limits(
        config, neighbor, similarity, vectors, thresholds_of(config), score, picked, lambda: _scored_sample(tables)
    )
    return for_small_sets(limits, similarity, vectors).to_json()


def _scored_sample(tables: Tables) -> tuple[Float32, Float32]:
    """Return similarities and scores (S, K) of a sample of rows."""
    (neighbor, similarity), rows = neighbors_of(tables), sample_of(tables.rows)
    return np.asarray(similarity[rows]), score_sample(rows, neighbor, similarity, vectors_of(tables))


def open_edges(tables: Tables) -> ShardFunction:
    """Return the function of one shard's edges."""
    config, limits = tables.config.edges, limits_of(tables)
    rule = RULES[config.rule]

    def edges(task: Task) -> Output:
        return Output([rule(tables, task, limits, limits.swept_value - config.reserve)])

    return edges


def edges_in_force(tables: Tables) -> Columns:
    """Return all edges that pass the limits, gathered once per process.

    They are source and target int32 (E,) and weight float32 (E,).
    """

    def gather() -> Columns:
        config, limits = tables.config.edges, limits_of(tables)
        parts = []
        for columns in tables.blocks("edges", [*GRAPH, "nep", "score", "similarity"]):
            keep = passes_limits(columns, config, limits)
            parts.append({name: columns[name][keep] for name in GRAPH})
        return {name: np.concatenate([part[name] for part in parts]) for name in GRAPH}

    return tables.shared("edges_in_force", gather)


def sizes(tables: Tables) -> dict[str, float]:
    """Return the number of edges that are stored, and of edges in force."""
    stored = sum(len(block["source"]) for block in tables.blocks("edges", ["source"]))
    return {"edges": stored, "links": len(edges_in_force(tables)["source"])}


def edges_at_most(config: Config, rows: int) -> tuple[int, int]:
    """Return the fewest edges of a useful run of N rows, and the most of its rule."""
    if config.edges.rule == "density-peaks" and config.edges.distance != "connectivity":
        return 0, rows
    return rows // 2, rows * min(config.knn.k - 1, rows - 1)


def announce(tables: Tables) -> str:
    """Return the limits in words."""
    limits = limits_of(tables)
    if "disagreement" in limits.facts:
        return (
            f"threshold {limits.threshold:.4f}, picked from the data at a risk of {limits.facts['risk']:.3f}: the model's scores "
            f"contradict it in {limits.facts['disagreement']:.0%} of the rows and are set aside"
        )
    if limits.threshold is not None:
        return f"threshold {limits.threshold:.4f}, {'picked from the data' if limits.picked else 'as given'}"
    names = ("eta", "closeness", "theta")
    words = [f"{name} {getattr(limits, name):.4f}" for name in names if getattr(limits, name) is not None]
    if limits.valley is not None:
        words.append(
            "from the valley of the set's own scores"
            if limits.valley
            else "low, as identities fill the neighbor lists"
            if limits.is_full
            else "the model's: the scores show no valley"
        )
    if limits.similarity is not None:
        words.append(f"similarity {limits.similarity:.4f} at least, as the set's cosines suggest")
    return ", ".join(words) or "no limit to settle"


def headline(tables: Tables) -> Facts:
    """Return the limits without the facts behind a picked threshold."""
    limits = limits_of(tables)
    names = ("eta", "threshold", "closeness", "theta", "valley", "similarity")
    return {name: getattr(limits, name) for name in names if getattr(limits, name) is not None}


def _cost(size: ProblemSize, config: Config) -> Cost:
    k, rule = config.knn.k, config.edges.rule
    table = 4.0 * size.rows * k
    walked = copies_of_probabilities(size, config) if rule == "early-stop" else {}
    roots = copy_of_roots(size, config) if rule == "density-peaks" and config.edges.distance == "tpdi" else {}
    neighbors = (copy_of_neighbors if rule in ("score", "early-stop") else copies_of_neighbors)(size, config)
    is_picked = rule == "threshold" and config.edges.threshold is None and config.relations.score == "none"
    scores = {"relations.score": table} if config.relations.score != "none" else {}
    once = copy_of_neighbors(size, config) | scores if scores else {}
    if is_picked:
        once = copy_of_vectors(size, config) | neighbors
    return Cost(
        once=float(min(size.rows, MAX_ROWS) * k),
        work=float(size.rows * k),
        once_rate=4.4e-7,
        rate=NEP_RATE if rule in ("early-stop", "density-peaks") else 2.5e-7,
        driver_bytes=PICK_BYTES * k * min(size.rows, MAX_ROWS),
        worker_bytes=16.0 * size.rows + 8.0 * k * size.rows_per_shard + 4 * EDGE_BYTES * size.edges / size.shards,
        stored_rows=size.edges,
        copies=neighbors | walked | roots | scores,
        copies_once=once,
        compression=0.4,
        is_threaded=rule in ("early-stop", "density-peaks"),
    )


def _schema(config: Config, id_type: pa.DataType, width: int) -> pa.Schema:  # noqa: ARG001
    return schemas.EDGES


EDGES = Stage(
    name="edges",
    reads=("knn", "topk", "relations", "density"),
    revision=7,
    writes=_schema,
    settings=lambda config: config.edges.__dict__,
    once=decide_once,
    open=open_edges,
    sizes=sizes,
    announce=announce,
    numbers=lambda tables: tables.facts("edges"),
    headline=headline,
    cost=_cost,
)
