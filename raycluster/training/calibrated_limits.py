"""What no user should have to guess: limits and probabilities chosen on held-out identities, with the curves behind them.

A limit is chosen by what it does in the end: the BCubed F of held-out identities after Infomap, in the graph of all rows of
their set, averaged over sets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from raycluster.arrays import Array, Float32, Int32
from raycluster.config.stages import Config
from raycluster.evaluation import metrics
from raycluster.evaluation.reliability import average_precision, expected_calibration_error, reliability
from raycluster.evaluation.truth import UNKNOWN
from raycluster.executors.progress import Silence
from raycluster.kernels import edge_rules
from raycluster.limits import valley
from raycluster.limits.in_force import EdgeLimits, similarity_floor
from raycluster.models.calibration import platt, probability, topk_confidence
from raycluster.pipeline.run import LOCAL, fork, run_stages
from raycluster.pipeline.sweep import communities_at
from raycluster.stages.nep import nep_of
from raycluster.stages.stage import row_shards
from raycluster.storage.tables import ArrayTables
from raycluster.training import calibration
from raycluster.training.labelled_set import LabelledSet
from raycluster.training.objectives import true_topk

GRID = [*(round(0.05 * step, 2) for step in range(1, 20)), 0.97, 0.99]
ABOVE_0 = float(np.finfo(np.float32).tiny)
CERTAIN = 1e-7
LEAST_PAIRS = 500
LEAST_IDENTITIES = 20
LEAST_KNOWN = 0.5
Say = Callable[[str], None]
Curve = list[dict[str, Any]]


def tells(part: LabelledSet) -> bool:
    """Whether a set's held-out identities are enough to calibrate on: `LEAST_IDENTITIES` of them, with `LEAST_PAIRS` pairs of
    a row and a neighbor whose label is known, which are `LEAST_KNOWN` (0..1) of all. Where most neighbors have no label,
    those of other identities are not counted, and probabilities would be read too high and eta too low."""
    rows = part.anchors(held_out=True)
    judged, listed = np.count_nonzero(part.known(rows, held_out=True)), np.count_nonzero(part.others(rows))
    identities = len(np.unique(part.identity[rows]))
    return identities >= LEAST_IDENTITIES and bool(judged >= max(LEAST_PAIRS, LEAST_KNOWN * listed))


def of_filter(sets: Sequence[LabelledSet], beta: float) -> tuple[Curve, dict[str, float]]:
    """How sure a predicted Top-K is, and its mean error on held-out rows, beside that of the best constant."""
    found = []
    for part in sets:
        assert part.topk is not None
        rows = part.anchors(held_out=True)
        found.append((part.topk[rows], true_topk(part, rows, beta)))
    predicted, true = (np.concatenate(each) for each in zip(*found, strict=True))
    error = np.abs(predicted - true).mean()
    constant = np.abs(np.median(true) - true).mean()
    quality = {"error": float(error), "error_of_median": float(constant), "rows": len(true)}
    return topk_confidence(predicted, true, sets[0].neighbor.shape[1]), quality


def of_early_stop(
    sets: Sequence[LabelledSet], config: Config, say: Say
) -> tuple[dict[str, float], Curve, dict[str, Any]]:
    """Return theta at which the walk ends and the NEP floor that keeps 95 % of the true pairs left to recall.

    With them come the curve over theta and its best point. Pairs of NEP 0 share no trusted neighbor and are not for recall:
    under predicted Top-K they are most of what is left, and few are true: a floor of 0 would score ten times as many pairs.
    """
    walk = replace(
        config, relations=replace(config.relations, score="none"), contexts=replace(config.contexts, encode=False)
    )
    walks = [clustered(part, walk, EdgeLimits(theta=GRID[0])) for part in sets]
    curve = limit_curve(sets, walks)
    best = calibration.best(curve)
    theta = best["threshold"]
    left, same = [], []
    for part, tables in zip(sets, walks, strict=True):
        nep, rows = np.concatenate([nep_of(tables, task) for task in row_shards(tables)]), part.anchors(held_out=True)
        beyond = edge_rules.recallable(part.neighbor[rows], nep[rows], theta, ABOVE_0) & part.known(rows, held_out=True)
        left.append(nep[rows][beyond])
        same.append(part.same(rows)[beyond])
    recalled = np.concatenate(same)
    floor = calibration.floor_for_recall(np.concatenate(left), recalled) if recalled.any() else 1.0
    say(f"theta {theta}, floor {floor:.4f}: BCubed F {best['f']:.4f} of held-out identities by the walk alone")
    return {"theta": theta, "floor": floor}, curve, best


@dataclass(frozen=True)
class Probabilities:
    """Scores of the sets turned into probabilities, and how good these are."""

    slope: float
    intercept: float
    scores: list[Float32]
    """Probabilities (N, K) of every set."""
    reliability: Curve
    edge_curve: Curve
    metrics: dict[str, Any]


def probabilities_of(sets: Sequence[LabelledSet]) -> Probabilities:
    """Fit the slope and intercept that make the raw scores in the sets' `relations` probabilities of one identity."""
    raw = [_logit(part) for part in sets]
    logits, same = [], []
    for part, logit in zip(sets, raw, strict=True):
        rows = part.anchors(held_out=True)
        scored = part.known(rows, held_out=True) & ~np.isnan(logit[rows])
        logits.append(logit[rows][scored])
        same.append(part.same(rows)[scored])
    logit, truth = np.concatenate(logits), np.concatenate(same)
    slope, intercept = platt(logit, truth)
    fitted = probability(logit, slope, intercept)
    before = reliability(probability(logit, 1.0, 0.0), truth)
    after = reliability(fitted, truth)
    quality_of_pairs = {
        "average_precision": average_precision(logit, truth),
        "calibration_error": expected_calibration_error(after),
        "calibration_error_before": expected_calibration_error(before),
        "pairs": len(truth),
    }
    scores = [np.asarray(probability(values, slope, intercept), np.float32) for values in raw]
    curve = calibration.edge_curve(fitted, truth, GRID)
    return Probabilities(slope, intercept, scores, after, curve, quality_of_pairs)


def of_scores(
    sets: Sequence[LabelledSet], scores: Sequence[Float32], config: Config, theta: float | None, say: Say
) -> tuple[dict[str, float], Curve, dict[str, Any]]:
    """Return the limit by which edges are kept: closeness for rule density-peaks, else eta.

    Where a run reads its limit from its own valley, the limit is chosen on the sets that show no valley. `config.model` is the
    model with its probabilities calibrated, because re-joining scores rows again.
    """
    name = "closeness" if config.edges.rule == "density-peaks" else "eta"
    used = list(zip(sets, scores, strict=True))
    floors: list[float | None] = [None for _ in used]
    if name == "eta" and config.edges.valley and (without := _without_valley(used, config)):
        used = without
        floors = [similarity_floor(part.similarity, part.vectors) for part, _ in used]
    lowest: dict[str, Any] = {name: GRID[0], "theta": theta}
    built = [
        clustered(part, config, EdgeLimits(**lowest, similarity=floor), score)
        for (part, score), floor in zip(used, floors, strict=True)
    ]
    curve = limit_curve([part for part, _ in used], built)
    best = calibration.best(curve)
    say(f"{name} {best['threshold']}: BCubed F {best['f']:.4f} of held-out identities of {len(used)} sets")
    return {name: best["threshold"]}, curve, {**best, "sets": len(used)}


def _without_valley(scored: list[tuple[LabelledSet, Float32]], config: Config) -> list[tuple[LabelledSet, Float32]]:
    """Return the sets, with their scores, that show no limit of their own and need a calibrated one."""
    combine = config.edges.combine
    return [(part, score) for part, score in scored if valley.eta_of(part.neighbor, score, combine, 0.5) is None]


def clustered(
    part: LabelledSet, config: Config, limits: EdgeLimits, score: Float32 | None = None, until: str = "edges"
) -> ArrayTables:
    """Return tables of a set on which the stages of a run have built edges down to `limits`, and gone on to stage `until`.

    `score` (N, K) are the scores of its pairs; none for a recipe without.
    """
    neighbors: dict[str, Array] = {"neighbor": part.neighbor, "similarity": part.similarity}
    columns: dict[str, dict[str, Array]] = {"knn": neighbors}
    if part.topk is not None:
        columns["topk"] = {"k": part.topk}
    if score is not None:
        columns["relations"] = {"score": score}
    exact = replace(config, edges=replace(config.edges, reserve=0.0))
    tables = fork(part.tables, exact, columns, {"edges": limits.to_json()})
    run_stages(tables, LOCAL, Silence(), until=until)
    return tables


def limit_curve(sets: Sequence[LabelledSet], built: Sequence[ArrayTables]) -> Curve:
    """Return the mean quality of the sets' held-out identities at every limit of `GRID`."""
    curve = []
    for limit in GRID:
        points = []
        for part, tables in zip(sets, built, strict=True):
            cluster, num_edges = communities_at(tables, limit)
            points.append(quality(part, cluster, num_edges))
        means = {name: float(np.mean([point[name] for point in points])) for name in points[0]}
        curve.append({"threshold": limit, **means})
    return curve


def quality(part: LabelledSet, cluster: Int32, num_edges: int) -> dict[str, float]:
    """Return BCubed (f, precision, recall) and pairwise F of held-out identities in a partition (N,) of the whole set."""
    labelled = part.identity != UNKNOWN
    score = metrics.evaluate_part(part.identity[labelled], cluster[labelled], part.held_out[labelled])
    bcubed = score["bcubed"]
    return {
        "f": bcubed.f, "precision": bcubed.precision, "recall": bcubed.recall, "pairwise_f": score["pairwise"].f,
        "edges": num_edges,
    }  # fmt: skip


def _logit(part: LabelledSet) -> Float32:
    """Return the logits that a set's raw scores (N, K) came from, as far as float32 has them; NaN stays."""
    score = part.tables.column("relations", "score")
    clipped = np.clip(score.astype(np.float64), CERTAIN, 1 - CERTAIN)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), np.float32)
