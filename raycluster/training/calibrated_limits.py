"""Limits chosen on held-out identities, with the curves behind them.

A limit is chosen by its final effect: the BCubed F of held-out identities in the partition of all rows of their set, averaged
over sets. Edges, communities and re-joining are computed by the stages that runs use.

Shapes: N rows of a set, K neighbors per row with the row itself at rank 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from raycluster.arrays import Array, Float32, Int32
from raycluster.config.stages import Config
from raycluster.evaluation import metrics
from raycluster.evaluation.truth import UNKNOWN
from raycluster.executors.progress import Silence
from raycluster.kernels import edge_rules
from raycluster.limits import valley
from raycluster.limits.cohesion import Lists
from raycluster.limits.in_force import EdgeLimits
from raycluster.limits.without_valley import similarity_floor
from raycluster.models.calibration import Table, topk_confidence
from raycluster.pipeline.run import LOCAL, fork, run_stages
from raycluster.pipeline.sweep import communities_at
from raycluster.stages.nep import nep_of
from raycluster.stages.stage import row_shards
from raycluster.storage.array_tables import ArrayTables
from raycluster.storage.tables import Facts
from raycluster.training import calibration
from raycluster.training.labelled_set import LabelledSet
from raycluster.training.objectives import true_topk

GRID = [*(round(0.05 * step, 2) for step in range(1, 20)), 0.97, 0.99]
"""Limits that are tried, in 0..1: steps of 0.05, finer near 1, where scores of one identity gather."""
ABOVE_ZERO = float(np.finfo(np.float32).tiny)
"""Least NEP of a pair for recall: any above 0."""
MIDDLE = 0.5
"""Score about which a set's valley is searched before the model has a limit of its own."""
LEAST_PAIRS = 500
"""Held-out pairs of a set from which probabilities can be read. Raising it keeps a base model's calibration more often."""
LEAST_IDENTITIES = 20
"""Held-out identities of a set from which its F can be read. Raising it keeps a base model's calibration more often."""
LEAST_LABELLED = 0.5
"""Least share of labelled neighbors, in 0..1. Below it strangers are missing among the pairs: probabilities would be read too
high and eta too low."""
Report = Callable[[str], None]
Calibrated = tuple[dict[str, float], Table, Facts]
"""Limits by name, the curve that they were read from, and the quality at the chosen point."""


def can_calibrate(labelled: LabelledSet) -> bool:
    """Return whether a set's held-out identities are enough to calibrate on."""
    rows = labelled.anchors(held_out=True)
    num_usable = np.count_nonzero(labelled.usable(rows, held_out=True))
    num_listed = np.count_nonzero(labelled.others(rows))
    num_identities = len(np.unique(labelled.identity[rows]))
    has_pairs = num_usable >= max(LEAST_PAIRS, LEAST_LABELLED * num_listed)
    return num_identities >= LEAST_IDENTITIES and bool(has_pairs)


def filter_confidence(sets: Sequence[LabelledSet], beta: float) -> tuple[Table, Facts]:
    """Return how near a predicted Top-K is to the true one on held-out rows.

    The first value is the table of `topk_confidence`. The second holds the mean error, and that of the best constant.
    """
    pairs = []
    for labelled in sets:
        assert labelled.topk is not None, "the filter has predicted Top-K"
        rows = labelled.anchors(held_out=True)
        pairs.append((labelled.topk[rows], true_topk(labelled, rows, beta)))
    predicted, true = (np.concatenate(values) for values in zip(*pairs, strict=True))
    error, constant = np.abs(predicted - true).mean(), np.abs(np.median(true) - true).mean()
    quality_of_filter = {"error": float(error), "error_of_median": float(constant), "rows": len(true)}
    return topk_confidence(predicted, true, sets[0].neighbor.shape[1]), quality_of_filter


def filter_line(quality: Facts) -> str:
    """Return in words how good a filter is.

    A warning where the best constant would do better.
    """
    error, constant = quality["error"], quality["error_of_median"]
    if error <= constant:
        return f"Top-K is off by {error:.2f} neighbors on average, and by {constant:.2f} with the best constant"
    return (
        f"warning: the filter is worse than a constant: its Top-K is off by {error:.2f} neighbors on average, that of the "
        f"best constant by {constant:.2f}; train it longer (training.filter.fit.steps) or on more identities"
    )


def early_stop_limits(sets: Sequence[LabelledSet], config: Config, report: Report) -> Calibrated:
    """Return theta, at which the walk ends, and the NEP floor of edge recall.

    Theta is chosen on the walk alone, the recipe without its predictor. The floor keeps 95 % of the true pairs that the walk
    leaves. Pairs of NEP 0 share no trusted neighbor and are not for recall. They are most of what a walk under predicted
    Top-K leaves, and few of them are true: a floor of 0 would score ten times as many pairs.

    Parameters
    ----------
    sets
        The labelled sets, with Top-K where the recipe has one.
    config
        The recipe, of rule early-stop.
    report
        Called with a line on what was chosen.

    Returns
    -------
    tuple
        theta and floor, the curve over theta, and its best point.
    """
    walk = replace(
        config, relations=replace(config.relations, score="none"), contexts=replace(config.contexts, encode=False)
    )
    walks = [edges_down_to(labelled, walk, EdgeLimits(theta=GRID[0])) for labelled in sets]
    curve = limit_curve(sets, walks)
    best = calibration.best(curve)
    floor = _recall_floor(sets, walks, best["threshold"])
    report(
        f"theta {best['threshold']}, floor {floor:.4f}: BCubed F {best['f']:.4f} of held-out identities by the walk alone"
    )
    return {"theta": best["threshold"], "floor": floor}, curve, best


def _recall_floor(sets: Sequence[LabelledSet], walks: Sequence[ArrayTables], theta: float) -> float:
    """Return the NEP floor of pairs that walks to theta leave; 1 if none is true."""
    neps, truths = [], []
    for labelled, tables in zip(sets, walks, strict=True):
        rows = labelled.anchors(held_out=True)
        nep = np.concatenate([nep_of(tables, task) for task in row_shards(tables)])[rows]
        is_left = edge_rules.recallable(labelled.neighbor[rows], nep, theta, ABOVE_ZERO)
        is_left &= labelled.usable(rows, held_out=True)
        neps.append(nep[is_left])
        truths.append(labelled.same(rows)[is_left])
    same = np.concatenate(truths)
    return calibration.floor_for_recall(np.concatenate(neps), same) if same.any() else 1.0


def score_limit(
    sets: Sequence[LabelledSet], scores: Sequence[Float32], config: Config, theta: float | None, report: Report
) -> Calibrated:
    """Return the limit by which edges are kept: closeness for density peaks, else eta.

    Where runs read the limit from a set's own valley, it is chosen on the sets without one: the others never use it.

    Parameters
    ----------
    sets
        The labelled sets.
    scores
        Their probabilities, float32 (N, K) each.
    config
        The recipe, with the model whose probabilities are calibrated: re-joining scores rows again.
    theta
        NEP at which the walk ends, for rule early-stop.
    report
        Called with a line on what was chosen.

    Returns
    -------
    tuple
        The limit, the curve over it, and its best point with the number of sets.
    """
    name = "closeness" if config.edges.rule == "density-peaks" else "eta"
    used = list(zip(sets, scores, strict=True))
    floors: list[float | None] = [None for _ in used]
    if name == "eta" and config.edges.valley and (without := _without_valley(used, config)):
        used = without
        floors = [
            similarity_floor(labelled.similarity, Lists(labelled.neighbor, labelled.vectors)) for labelled, _ in used
        ]
    lowest: dict[str, Any] = {name: GRID[0], "theta": theta}
    built = [
        edges_down_to(labelled, config, EdgeLimits(**lowest, similarity=floor), score)
        for (labelled, score), floor in zip(used, floors, strict=True)
    ]
    curve = limit_curve([labelled for labelled, _ in used], built)
    best = calibration.best(curve)
    report(f"{name} {best['threshold']}: BCubed F {best['f']:.4f} of held-out identities of {len(used)} sets")
    return {name: best["threshold"]}, curve, {**best, "sets": len(used)}


def _without_valley(scored: list[tuple[LabelledSet, Float32]], config: Config) -> list[tuple[LabelledSet, Float32]]:
    """Return the sets, with their scores, that show no limit of their own."""
    combine = config.edges.combine
    return [
        (labelled, score)
        for labelled, score in scored
        if valley.eta_of(labelled.neighbor, score, combine, MIDDLE) is None
    ]


def scored_tables(labelled: LabelledSet, config: Config, score: Float32 | None, facts: dict[str, Facts]) -> ArrayTables:
    """Return tables of a set whose pairs are scored, for the stages from edges on.

    Parameters
    ----------
    labelled
        The set.
    config
        The recipe to go on with.
    score
        float32 (N, K) in 0..1; None for a recipe without a predictor.
    facts
        Facts of stages that are not to be computed.

    Returns
    -------
    ArrayTables
        With neighbors, Top-K and scores.
    """
    columns: dict[str, dict[str, Array]] = {"knn": {"neighbor": labelled.neighbor, "similarity": labelled.similarity}}
    if labelled.topk is not None:
        columns["topk"] = {"k": labelled.topk}
    if score is not None:
        columns["relations"] = {"score": score}
    return fork(labelled.tables, config, columns, facts)


def edges_down_to(
    labelled: LabelledSet, config: Config, limits: EdgeLimits, score: Float32 | None = None
) -> ArrayTables:
    """Return tables of a set with the edges of a run, down to some limits.

    Parameters
    ----------
    labelled
        The set.
    config
        The recipe.
    limits
        The lowest that are tried.
    score
        float32 (N, K) in 0..1; None for a recipe without a predictor.

    Returns
    -------
    ArrayTables
        Ready for `communities_at` any higher limit.
    """
    exact = replace(config, edges=replace(config.edges, reserve=0.0))
    tables = scored_tables(labelled, exact, score, {"edges": limits.to_json()})
    run_stages(tables, LOCAL, Silence(), until="edges")
    return tables


def limit_curve(sets: Sequence[LabelledSet], built: Sequence[ArrayTables]) -> Table:
    """Return the mean quality of held-out identities at every limit of `GRID`."""
    curve = []
    for limit in GRID:
        points = []
        for labelled, tables in zip(sets, built, strict=True):
            cluster, num_edges = communities_at(tables, limit)
            points.append({**quality(labelled, cluster), "edges": num_edges})
        means = {name: float(np.mean([point[name] for point in points])) for name in points[0]}
        curve.append({"threshold": limit, **means})
    return curve


def quality(labelled: LabelledSet, cluster: Int32) -> dict[str, float]:
    """Return BCubed and pairwise F of held-out identities in a partition (N,)."""
    is_labelled = labelled.identity != UNKNOWN
    score = metrics.evaluate_part(labelled.identity[is_labelled], cluster[is_labelled], labelled.held_out[is_labelled])
    bcubed = score["bcubed"]
    return {"f": bcubed.f, "precision": bcubed.precision, "recall": bcubed.recall, "pairwise_f": score["pairwise"].f}
