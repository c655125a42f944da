"""knn, topk, relations, density -> weighted edges, by one of five rules, each computed shard by shard with nothing left to merge.

    threshold    undirected, similarity >= threshold, weight = similarity
    score        undirected, learned score >= eta, weight = score or its odds
    early-stop   directed (FC-ES): walk a row's neighbors in cosine order while NEP >= theta, weight = NEP; with a
                 relation predictor (FC-ESER, S1) later neighbors return whose score is at least eta, weight = score
    gap          undirected (FaceMap): neighbors before the first outlying similarity gap, weight = similarity / row sum
    density-peaks   each row to its closest denser neighbor (S2) if its closeness, 1 - distance, is above a limit;
                 weight = closeness

Edges up to `edges.reserve` below the limit are stored as well, and `in_force` leaves them out at read. The kernels are in
`raycluster.kernels.edge_rules`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float32, Int32, Int64, Vectors
from raycluster.config.stages import Config, EdgesConfig
from raycluster.errors import ConfigError
from raycluster.kernels import edge_rules
from raycluster.kernels.edge_rules import Columns
from raycluster.kernels.neighborhoods import nep as jaccard
from raycluster.limits import valley
from raycluster.limits.far_ranks import FAR_RANKS, pick_threshold, sample_pairs
from raycluster.models.requirements import thresholds_of
from raycluster.stages import embeddings
from raycluster.stages.density import Peaks, peaks_of
from raycluster.stages.topk import TOPK, rounded
from raycluster.storage import node_cache as scratch
from raycluster.storage import schemas
from raycluster.storage.run_folder import Part, Run, Stage

Limits = dict[str, Any]
LIMITS = ("eta", "threshold", "closeness", "theta")
"""Those that decide whether a stored edge counts; a run is swept by the first it has."""
OVER_VALLEY = 10.0
"""Most odds of an edge over those at the set's own limit, where a pair is as likely of one identity as not. Raising it splits
identities of several modes at their doubtful edges; lowering it lets many doubtful edges outweigh few sure ones."""


def settle(
    config: Config,
    neighbor: Int32,
    similarity: Float32,
    vectors: Any,
    calibrated: dict[str, float],
    score: Float32 | None = None,
) -> Limits:
    """The limits in force: what is configured, else what the model was `calibrated` to, else read from the data.

    Rule `threshold` has `threshold` with how it was found, `early-stop` has `theta`, `density-peaks` has `closeness`, and
    a learned score in any other rule has `eta`. Where that is not given and `edges.valley` asks for it, it is the limit
    that the scores of all neighbors show near the model's (`graph.valley.eta_of`), if they show one; else `similarity`
    may say how similar the rows of an edge are besides (`second_opinion`). neighbor, similarity and score are (N, K);
    similarity and vectors (N, D), unit, are looked at only to pick a threshold. Raises ConfigError where nothing gives a limit.
    """
    rule = config.edges.rule
    limits: Limits = {}
    if rule == "threshold":
        if config.edges.threshold is not None:
            return {"threshold": config.edges.threshold, "picked": False}
        threshold, why = pick_threshold(similarity, sample_pairs(vectors))
        return {"threshold": threshold, "picked": True, **why}
    if rule == "density-peaks":
        return {"closeness": calibrated_or_given("edges.closeness", config.edges.closeness, calibrated)}
    if rule == "early-stop":
        limits["theta"] = calibrated_or_given("edges.theta", config.edges.theta, calibrated)
    if config.relations.score != "none":
        limits["eta"] = calibrated_or_given("edges.eta", config.edges.eta, calibrated)
        if config.edges.valley and config.edges.eta is None:
            assert score is not None, "a valley is of the scores of all neighbors"
            found = valley.eta_of(neighbor, score, config.edges.combine, limits["eta"])
            if found is not None:
                return limits | {"valley": True, "eta": found}
            return limits | {"valley": False} | second_opinion(similarity, vectors)
    return limits


def second_opinion(similarity: Float32, vectors: Any) -> Limits:
    """`similarity`, the least of an edge's rows where scores alone do not tell one identity from two: the threshold that
    the far ranks (N, K) suggest; empty where they do not show any background either.

    Without a valley the judge may take what lies close together for one identity though a nearer scale holds the
    identities: of texts that are relatives in every degree it made one cluster. The far ranks tell that scale apart.
    """
    threshold, why = pick_threshold(similarity, sample_pairs(vectors))
    return {"similarity": threshold} if why["basis"] == FAR_RANKS else {}


def bounds(config: Config, rows: int) -> tuple[int, int]:
    """The fewest edges a useful run has, and the most its rule can make, of so many rows."""
    if config.edges.rule == "density-peaks":
        return 0, rows
    return rows // 2, rows * (config.knn.k - 1)


def calibrated_or_given(key: str, value: float | None, calibrated: dict[str, float]) -> float:
    """A configured value, or the model's; raises ConfigError where there is neither."""
    if value is None:
        value = calibrated.get(key.split(".")[1])
    if value is None:
        raise ConfigError(f"{key} is not set and no model was given that was calibrated for it; set it or use --model.")
    return value


def swept_by(limits: Limits) -> str | None:
    """Which limit stored edges can be swept by: eta, threshold, closeness or theta; None for rule `gap`."""
    return next((name for name in LIMITS if name in limits), None)


def swept(limits: Limits) -> float:
    """The limit that stored edges can be swept by; -1 for rule `gap`."""
    return float(limits.get(swept_by(limits) or "", -1.0))


def in_force(edges: Columns, config: EdgesConfig, limits: Limits, at: float) -> Any:
    """Which stored edges (E,) count at `at`, a limit at or above the one they were stored with.

    For `early-stop` without scores the edges must be in stored order: a walk ends at its first edge below the limit.
    """
    if config.rule == "threshold":
        return edges["weight"] >= np.float32(at)
    if config.rule == "density-peaks":
        return edges["weight"] > np.float32(at)
    if config.rule == "gap":
        return np.ones(len(edges["weight"]), bool)
    if "eta" in limits:
        return np.isnan(edges["score"]) | (edges["score"] >= np.float32(at))
    below = np.cumsum(edges["nep"] < np.float32(at))
    first = np.concatenate([[True], edges["source"][1:] != edges["source"][:-1]]) if len(below) else np.empty(0, bool)
    before = np.concatenate([[0], below[:-1]])[first] if len(below) else below
    return below == before[np.cumsum(first) - 1] if len(below) else first


def transform(config: EdgesConfig) -> Callable[[Float32], Float32]:
    """Similarities (R, K) to normalized edge probabilities p_hat; empty ranks (similarity -1) get 0."""

    def p_hat(similarity: Float32) -> Float32:
        probability = jaccard.edge_probability(similarity, config.transform, config.tau, config.delta)
        return jaccard.normalized(probability)

    return p_hat


def build(
    start: int,
    stop: int,
    neighbor: Int32,
    similarity: Float32,
    config: EdgesConfig,
    limits: Limits,
    reserve: float,
    nep: Callable[[], Float32],
    score: Float32 | None = None,
    peaks: Callable[[], Peaks] | None = None,
) -> Columns:
    """The edges of rows start..stop; neighbor, similarity and, where a predictor gave it, score are (N, K) of all rows.

    `nep` is called for the NEP (stop - start, K) of these rows, which only `early-stop` needs, and `peaks`
    for which of their neighbors are denser and how close, each (stop - start, K), which `density-peaks` needs. Edges up to
    `reserve` below the swept limit are included.
    """
    floor = swept(limits) - reserve
    if config.rule == "threshold":
        return edge_rules.threshold_edges(start, stop, neighbor, similarity, floor)
    if config.rule == "gap":
        return edge_rules.gap_edges(start, stop, neighbor, similarity)
    if config.rule == "score":
        assert score is not None
        columns = edge_rules.score_edges(start, stop, neighbor, similarity, score, floor, config.combine)
        if "similarity" in limits:
            similar = columns["similarity"] >= np.float32(limits["similarity"])
            columns = {name: values[similar] for name, values in columns.items()}
        if config.weight == "score":
            return columns
        return columns | {"weight": edge_rules.odds(columns["score"], _most_odds(limits))}
    own = slice(start, stop)
    if config.rule == "density-peaks":
        assert peaks is not None
        return edge_rules.density_peak_edges(start, neighbor[own], similarity[own], *peaks(), floor)
    theta, eta = (limits["theta"], floor) if "eta" in limits else (floor, np.inf)
    of_rows = None if score is None else np.asarray(score[own])
    return edge_rules.early_stop_edges(start, neighbor[own], similarity[own], nep(), theta, of_rows, eta)


def _most_odds(limits: Limits) -> float:
    """The odds that no edge exceeds: on the set's own scale, where it shows one."""
    if not limits.get("valley"):
        return edge_rules.MOST_ODDS
    return OVER_VALLEY * limits["eta"] / (1 - limits["eta"])


def neighbors(run: Run) -> tuple[Int32, Float32]:
    """The kNN table of all rows, memory-mapped."""
    return scratch.joined(run, "knn", "neighbor", "int32"), scratch.joined(run, "knn", "similarity", "float32")


def rows_of(run: Run) -> tuple[Int32, Vectors]:
    """Neighbors (N, K) and vectors (N, D) of all rows, memory-mapped."""
    return neighbors(run)[0], embeddings.vectors(run)


def nep_of(run: Run, start: int, stop: int) -> Float32:
    """NEP (stop - start, K) of rows under the run's transform and, where it has them, its Top-K (S1 eq. 8)."""
    config = run.config.edges
    tag = f"p_hat-{config.transform}-{config.tau}-{config.delta}"
    p_hat = scratch.joined(run, "knn", "similarity", "float32", transform(config), tag)
    length: Int64 | None = None
    if TOPK.wanted(run.config):
        length = rounded(scratch.joined(run, "topk", "k", "int64"), run.config.knn.k)
    return jaccard.neighbor_edge_probability(neighbors(run)[0], p_hat, start, stop, length, run.threads)


def prepare(run: Run) -> dict[str, Any]:
    """Settle the limits."""
    return settle(run.config, *neighbors(run), embeddings.vectors(run), thresholds_of(run.config), _scores(run))


def _scores(run: Run) -> Float32 | None:
    """Learned scores (N, K) of all rows, memory-mapped, where a predictor gave any."""
    return None if run.config.relations.score == "none" else scratch.joined(run, "relations", "score", "float32")


def compute(run: Run, shard: int) -> Part:
    """Build one shard's edges."""
    start, stop = run.starts[shard : shard + 2]
    limits, config = run.prepared("edges"), run.config.edges
    columns = build(
        start, stop, *neighbors(run), config, limits, config.reserve, lambda: nep_of(run, start, stop), _scores(run),
        lambda: peaks_of(run, start, stop),
    )  # fmt: skip
    return Part([schemas.from_columns(schemas.EDGES, **columns)])


def load(run: Run, at: float | None = None) -> Columns:
    """All edges in force at the run's own limit, or `at` another: source, target int32 and weight float32 (E,)."""
    limits = run.prepared("edges")
    value = swept(limits) if at is None else at
    parts = []
    for shard in range(run.shards):
        table: pa.Table = run.table("edges", shard, ["source", "target", "weight", "nep", "score"])
        columns = {name: table[name].to_numpy() for name in table.schema.names}
        keep = in_force(columns, run.config.edges, limits, value)
        parts.append({name: columns[name][keep] for name in ("source", "target", "weight")})
    return {name: np.concatenate([part[name] for part in parts]) for name in ("source", "target", "weight")}


EDGES = Stage(name="edges", settings=lambda config: config.edges.__dict__, compute=compute, prepare=prepare)
