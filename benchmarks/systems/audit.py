"""Precision and recall of the audit on planted mistakes, beside cleanlab on the same neighbors.

    python -m benchmarks audit --input lfw_test.parquet --folder FOLDER

Every kind of mistake is planted alone, at each share. What the audit misses may be out of reach: a row that took the label of
another lone row is no contradiction. `within reach` counts the mistaken rows whose label, old or new, another row carries.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring.isolation import Failed, ResourceLimits, call
from benchmarks.measuring.mistakes import PLANTED
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Rows, Tables
from benchmarks.systems.comparison import cleaning
from raycluster.arrays import Bool, Float32, Float64, Int32, Int64
from raycluster.config.load import load_config
from raycluster.pipeline import run as pipeline
from raycluster.review import audit
from raycluster.review.audit_run import labels_of
from raycluster.review.opened import Opened

LIMITS = ResourceLimits(600, 12)


@dataclass
class Args(Options):
    """Labelled Parquets, and where their runs lie."""

    input: tuple[str, ...]
    folder: str
    """Folder of the runs; what an earlier start made is kept."""
    shares: tuple[float, ...] = (0.02, 0.05, 0.1)
    recipe: str = "auto"
    k: int = 10
    """Neighbors that vote for cleanlab, the number of its own Datalab."""
    seed: int = 1


def measured(is_flagged: Bool, is_wrong: Bool) -> dict[str, float]:
    """Return rows flagged, precision and recall."""
    hits = np.count_nonzero(is_flagged & is_wrong)
    count = int(np.count_nonzero(is_flagged))
    return {"flagged": count, "precision": hits / max(count, 1), "recall": hits / max(int(is_wrong.sum()), 1)}


def within_reach(label: Int64, mistaken: Int64, is_wrong: Bool) -> int:
    """Return the mistaken rows whose label, old or new, another row carries."""
    old, new = np.bincount(label), np.bincount(mistaken)
    return int(np.count_nonzero(is_wrong & ((old[label] > 1) | (new[mistaken] > 1))))


def confidence_of(opened: Opened, label: Int64) -> tuple[Float64, Int64, Int64]:
    """Return the confidence (N,) that each row is wrong, 0 where nothing was found, its kind and its suggestion."""
    issues = audit.issues(label, opened.cluster, opened.pairs, opened.state.limits, least=0.0)
    confidence = np.zeros(len(label))
    kind, suggested = np.full(len(label), -1), np.full(len(label), -1)
    confidence[issues.row], kind[issues.row], suggested[issues.row] = issues.confidence, issues.kind, issues.suggested
    return confidence, kind, suggested


def rows_of(opened: Opened, label: Int64, args: Args) -> Rows:
    """Return a row per kind of mistake, share and method."""
    table: Rows = []
    for number, (name, plant) in enumerate(PLANTED.items()):
        for share in args.shares:
            mistaken, is_wrong = plant(label, share, np.random.default_rng([args.seed, number, round(100 * share)]))
            issues = audit.issues(mistaken, opened.cluster, opened.pairs, opened.state.limits)
            confidence = confidence_of(opened, mistaken)[0]
            is_found = np.isin(np.arange(len(label)), issues.row)
            of_kind = np.isin(np.arange(len(label)), issues.row[issues.kind == number])
            right = np.zeros(len(label), bool)
            right[issues.row] = issues.suggested == label[issues.row]
            common = {"planted": name, "share": share, "wrong": int(is_wrong.sum())}
            common["within reach"] = within_reach(label, mistaken, is_wrong)
            rows = {"audit, any kind": measured(is_found, is_wrong)}
            if number != audit.SEVERAL_IDENTITIES:
                rows["audit, any kind"]["suggestion right"] = float(right[is_found & is_wrong].mean())
            rows[f"audit, {audit.KINDS[number]}"] = measured(of_kind, is_wrong)
            rows |= _beside(opened, mistaken, is_wrong, confidence, args.k)
            table += [{**common, "method": method, **scores} for method, scores in rows.items()]
    return table


def _beside(opened: Opened, mistaken: Int64, is_wrong: Bool, confidence: Float64, k: int) -> dict[str, dict[str, Any]]:
    """Scores of cleanlab by filter, each with the audit's for as many rows flagged."""
    neighbor, similarity = (np.array(values[:, : k + 1]) for values in _lists(opened))
    try:
        found = call(cleaning.flagged, neighbor, similarity, mistaken, k, limits=LIMITS)
    except Failed as error:
        return {"cleanlab": {"failed": str(error)}}
    rows: dict[str, dict[str, Any]] = {}
    order = np.argsort(-confidence, kind="stable")
    for name, is_flagged in found.items():
        scores = measured(is_flagged, is_wrong)
        as_many = np.zeros(len(mistaken), bool)
        as_many[order[: int(scores["flagged"])]] = True
        ours = {f"audit's {name} at as many": measured(as_many, is_wrong)[name] for name in ("precision", "recall")}
        rows[f"cleanlab, {name}"] = {**scores, **ours}
    return rows


def _lists(opened: Opened) -> tuple[Int32, Float32]:
    return opened.state.lists.neighbor, opened.state.lists.similarity


def tables(args: Args) -> Tables:
    """Yield a table per set."""
    for url in args.input:
        name = Path(url).stem
        pipeline.cluster(url, f"{args.folder}/{name}", load_config(args.recipe, {}, "benchmark"), pipeline.LOCAL)
        opened = Opened.of(f"{args.folder}/{name}")
        yield name, rows_of(opened, labels_of(url, opened.state.ids)[0], args)


BENCHMARK = Benchmark(
    Args, tables, quick=lambda folder: Args((small(folder),), f"{folder}/runs", (0.1,), recipe="cosine", k=5)
)
