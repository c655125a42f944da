"""What no user should have to guess: limits and probabilities chosen on held-out identities, with the curves behind them.

A limit is chosen by what it does in the end: the BCubed F of held-out identities after Infomap, in the graph of all rows of
their set, averaged over sets.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from raycluster.arrays import Float32, Int32
from raycluster.config.stages import Config
from raycluster.evaluation import metrics
from raycluster.evaluation.reliability import average_precision, expected_calibration_error, reliability
from raycluster.evaluation.truth import UNKNOWN
from raycluster.kernels import edge_rules
from raycluster.kernels.edge_rules import Columns
from raycluster.limits import valley
from raycluster.models.calibration import platt, topk_confidence
from raycluster.models.calibration import probability as calibrated
from raycluster.stages import communities, density, edges
from raycluster.storage import node_cache as scratch
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
    """theta at which the walk ends, and the NEP floor that keeps 95 % of the true pairs left to recall.

    Pairs of NEP 0 trust no neighbor in common and are not for recall: under predicted Top-K they are most of what is left,
    and few are true: a floor of 0 would score ten times as many pairs.
    """
    neps = [
        np.concatenate(
            [edges.nep_of(part.run, *part.run.starts[shard : shard + 2]) for shard in range(part.run.shards)]
        )
        for part in sets
    ]

    def at(theta: float, part: LabelledSet, nep: Float32) -> Columns:
        return edge_rules.early_stop_edges(0, part.neighbor, part.similarity, nep, theta, None, np.inf)

    curve = [
        _mean(theta, [quality(part, at(theta, part, nep), config) for part, nep in zip(sets, neps, strict=True)])
        for theta in GRID
    ]
    best = calibration.best(curve)
    theta = best["threshold"]
    left, same = [], []
    for part, nep in zip(sets, neps, strict=True):
        rows = part.anchors(held_out=True)
        beyond = edge_rules.recallable(part.neighbor[rows], nep[rows], theta, ABOVE_0) & part.known(rows, held_out=True)
        left.append(nep[rows][beyond])
        same.append(part.same(rows)[beyond])
    recalled = np.concatenate(same)
    floor = calibration.floor_for_recall(np.concatenate(left), recalled) if recalled.any() else 1.0
    say(f"theta {theta}, floor {floor:.4f}: BCubed F {best['f']:.4f} of held-out identities by the walk alone")
    return {"theta": theta, "floor": floor}, curve, best


def of_scores(
    sets: Sequence[LabelledSet], config: Config, known: dict[str, float], say: Say
) -> tuple[dict[str, float], dict[str, Curve], dict[str, Any]]:
    """Slope and intercept that make scores probabilities, from the raw scores of the sets' `relations`, and the limit that
    edges are kept by: closeness of rule density-peaks, else eta, of the sets that show none of their own if it is for these."""
    raw = [_logit(part) for part in sets]
    logits, same = [], []
    for part, logit in zip(sets, raw, strict=True):
        rows = part.anchors(held_out=True)
        judged = part.known(rows, held_out=True) & ~np.isnan(logit[rows])
        logits.append(logit[rows][judged])
        same.append(part.same(rows)[judged])
    logit, truth = np.concatenate(logits), np.concatenate(same)
    slope, intercept = platt(logit, truth)
    probability = calibrated(logit, slope, intercept)
    before = reliability(calibrated(logit, 1.0, 0.0), truth)
    after = reliability(probability, truth)
    scores = [calibrated(each, slope, intercept) for each in raw]

    name = "closeness" if config.edges.rule == "density-peaks" else "eta"
    everything = {**known, name: GRID[0]}

    def at(limit: float, columns: Columns) -> Columns:
        keep = edges.in_force(columns, config.edges, everything, limit)
        return {column: values[keep] for column, values in columns.items()}

    used = list(zip(sets, scores, strict=True))
    besides: list[edges.Limits] = [{} for _ in used]
    if name == "eta" and config.edges.valley and (without := _without_valley(used, config)):
        used = without
        besides = [edges.second_opinion(part.similarity, part.vectors) for part, _ in used]
    built = [
        (part, graph(part, score, config, everything | more)) for (part, score), more in zip(used, besides, strict=True)
    ]
    curve = [_mean(limit, [quality(part, at(limit, columns), config) for part, columns in built]) for limit in GRID]
    best = calibration.best(curve)
    say(f"{name} {best['threshold']}: BCubed F {best['f']:.4f} of held-out identities of {len(used)} sets")
    found = {
        **best,
        "average_precision": average_precision(logit, truth),
        "calibration_error": expected_calibration_error(after),
        "calibration_error_before": expected_calibration_error(before),
        "pairs": len(truth),
        "sets": len(used),
    }
    curves = {name: curve, "reliability": after, "edges": calibration.edge_curve(probability, truth, GRID)}
    return {"slope": slope, "intercept": intercept, name: best["threshold"]}, curves, found


def _without_valley(scored: list[tuple[LabelledSet, Float32]], config: Config) -> list[tuple[LabelledSet, Float32]]:
    """Those sets, with their scores, that show no limit of their own and need a calibrated one."""
    combine = config.edges.combine
    return [(part, score) for part, score in scored if valley.eta_of(part.neighbor, score, combine, 0.5) is None]


def scores(part: LabelledSet, known: dict[str, float]) -> Float32:
    """Probabilities (N, K) of a set whose `relations` hold raw scores, by the slope and intercept in `known`."""
    return np.asarray(calibrated(_logit(part), known["slope"], known["intercept"]))


def graph(part: LabelledSet, score: Float32, config: Config, at: edges.Limits) -> Columns:
    """The edges of a whole set at some limits, by its scores (N, K)."""
    return edges.build(
        0, len(score), part.neighbor, part.similarity, config.edges, at, 0.0,
        lambda: edges.nep_of(part.run, 0, len(score)), score,
        lambda: density.peaks_in_memory(config, part.neighbor, part.similarity, score, part.run.threads),
    )  # fmt: skip


def partition(part: LabelledSet, columns: Columns, config: Config) -> Int32:
    """The cluster (N,) of every row of a set in the partition that edges give."""
    links = {name: columns[name] for name in ("source", "target", "weight")}
    rows, directed = len(part.identity), config.edges.directed
    return communities.partition(**links, rows=rows, config=config.communities, directed=directed).communities


def quality(part: LabelledSet, columns: Columns, config: Config) -> dict[str, float]:
    """BCubed (f, precision, recall) and pairwise F of held-out identities in the partition that edges give."""
    cluster = partition(part, columns, config)
    labelled = part.identity != UNKNOWN
    score = metrics.evaluate_part(part.identity[labelled], cluster[labelled], part.held_out[labelled])
    bcubed = score["bcubed"]
    return {
        "f": bcubed.f, "precision": bcubed.precision, "recall": bcubed.recall, "pairwise_f": score["pairwise"].f,
        "edges": len(columns["source"]),
    }  # fmt: skip


def _mean(threshold: float, found: list[dict[str, float]]) -> dict[str, Any]:
    return {"threshold": threshold, **{name: float(np.mean([each[name] for each in found])) for name in found[0]}}


def _logit(part: LabelledSet) -> Float32:
    """The logits that a set's raw scores (N, K) came from, as far as float32 tells; NaN stays."""
    score = scratch.joined(part.run, "relations", "score", "float32")
    clipped = np.clip(score.astype(np.float64), CERTAIN, 1 - CERTAIN)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), np.float32)
