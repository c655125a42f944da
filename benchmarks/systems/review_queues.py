"""Precision of the review queues, and what answers to them are worth.

    python -m benchmarks review_queues --input lfw_test.parquet --folder FOLDER

Precision is the share of the first items that point at a mistake, recall the share of all mistakes among the candidates. Beside
the queues of merges and splits stand three orders of the same candidates: at random, by the cosine of mean vectors, and by
size. `bound` is the precision of an order that has all right candidates first.

The effort curve is BCubed F after answers of an oracle, which `update` puts in force: to the queues of merges and splits in
turn, and to merges by the cosine of mean vectors. Its `bound` answers the right candidates of both queues alone, and those first
that move the most rows.
"""

from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring.oracle import answer_to, area, bcubed, num_right, updated_with
from benchmarks.measuring.review_truth import CANDIDATES, is_right, majority, undecided
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Rows, Tables
from raycluster.arrays import Bool, Float64, Int64
from raycluster.config.load import load_config
from raycluster.pipeline import run as pipeline
from raycluster.review.audit_run import labels_of
from raycluster.review.merge_queue import items_of, merges
from raycluster.review.opened import Opened
from raycluster.review.queue_tables import Kind, QueueItem
from raycluster.review.queues import MAKERS
from raycluster.review.standing import ranked

FIRST = (50, 200, 1000)
"""Items whose precision is measured."""
MENDED: tuple[Kind, ...] = ("merge", "split")
"""Queues whose answers change clusters."""
NUM_BOUND = 6000
"""Candidates per queue among which the bound chooses. More raise it where right ones stand last."""


@dataclass
class Args(Options):
    """Labelled Parquets, and where their runs lie."""

    input: tuple[str, ...]
    folder: str
    """Folder of the runs; what an earlier start made is kept."""
    recipe: str = "auto"
    answers: tuple[int, ...] = (0, 100, 250, 500, 1000, 2000)
    """Answers after which the effort curve is measured."""


def precisions(order: Int64, right: Bool, num_mistakes: int) -> dict[str, float]:
    """Return precision and recall among the first items of an order."""
    scores = {f"P@{count}": float(right[order[:count]].mean()) for count in FIRST if len(order)}
    return scores | {f"R@{count}": float(right[order[:count]].sum()) / max(num_mistakes, 1) for count in FIRST}


def queue_rows(opened: Opened, truth: Int64) -> Rows:
    """Return precision and recall of every queue, beside the orders to beat."""
    table: Rows = []
    for kind, candidates in CANDIDATES.items():
        found = candidates(opened, undecided())
        right = is_right(found, opened, truth)
        mistakes = num_mistakes(kind, opened, truth, right)
        common = {"queue": kind, "candidates": len(right), "right": int(right.sum()), "mistakes": mistakes}
        orders = {
            "queue": np.arange(len(right)),
            **_orders(kind, found, opened),
            "bound": np.argsort(~right, kind="stable"),
        }
        table += [{**common, "order": name, **precisions(order, right, mistakes)} for name, order in orders.items()]
    return table


def num_mistakes(kind: Kind, opened: Opened, truth: Int64, right: Bool) -> int:
    """Return how many mistakes there are: pairs of clusters with one majority; else the right candidates."""
    if kind != "merge":
        return int(right.sum())
    size = np.bincount(majority(truth, opened.cluster))
    return int((size * (size - 1) // 2).sum())


def _orders(kind: Kind, found: Any, opened: Opened) -> dict[str, Int64]:
    """Return the orders to beat, of merges and splits."""
    if kind not in ("merge", "split"):
        return {}
    cosine: Float64 = found.cosine if kind == "merge" else -found.halves.cosine[found.place]
    clusters = (found.one, found.other) if kind == "merge" else (found.halves.cluster[found.place],)
    size = np.prod([opened.size[one] for one in clusters], axis=0).astype(np.float64)
    random = np.random.default_rng(0).permutation(len(cosine))
    return {"random": random, "centroid cosine": ranked(cosine, clusters[0]), "size": ranked(size, clusters[0])}


def in_turn(opened: Opened, most: int) -> list[QueueItem]:
    """Return items of the queues of merges and splits, one of each in turn."""
    queues = [MAKERS[kind](opened, undecided(), most) for kind in MENDED]
    return [item for item in chain.from_iterable(zip_longest(*queues)) if item is not None][:most]


def best_first(opened: Opened, identity: dict[Any, int], most: int) -> list[QueueItem]:
    """Return the right candidates of merges and splits, those first that move the most rows."""
    items = [item for kind in MENDED for item in MAKERS[kind](opened, undecided(), NUM_BOUND)]
    right = [item for item in items if (answer_to(item, identity) == "same") == (item.kind == "merge")]
    return sorted(right, key=_moved, reverse=True)[:most]


def _moved(item: QueueItem) -> float:
    """Return the harmonic mean of the rows of both sides: what BCubed F gains, but for a factor."""
    one, other = (int(rows.replace(",", "")) for rows in str(item.evidence["rows"]).split(" and "))
    return 2 * one * other / (one + other)


def effort_rows(opened: Opened, truth: Int64, counts: tuple[int, ...]) -> Rows:
    """Return BCubed F after so many answers, in the order of the queues and of mean vectors."""
    identity = dict(zip(opened.state.ids.to_pylist(), truth.tolist(), strict=True))
    found = merges(opened, undecided())
    by_cosine = ranked(found.cosine, found.one, found.other)[: counts[-1]]
    orders = {
        "queues": in_turn(opened, counts[-1]),
        "centroid cosine": items_of(opened, found, by_cosine),
        "bound": best_first(opened, identity, counts[-1]),
    }
    table: Rows = []
    for name, items in orders.items():
        rows = [_after(opened, items[:count], identity, truth) for count in counts]
        score = [row["F_B"] for row in rows]
        start = rows[0]["rows right"]
        for count, row in zip(counts, rows, strict=True):
            corrected = row["rows right"] - start
            clicks = count / corrected if corrected > 0 else "none"
            answers = min(count, len(items))
            table.append({"order": name, "answers": answers, **row, "answers per corrected row": clicks})
        table.append({"order": name, "area": area(counts, score)})
    return table


def _after(opened: Opened, items: list[QueueItem], identity: dict[Any, int], truth: Int64) -> dict[str, float]:
    cluster = (
        updated_with(opened, items, identity).cluster.astype(np.int64) if items else opened.cluster.astype(np.int64)
    )
    return {"F_B": bcubed(truth, cluster), "rows right": num_right(truth, cluster)}


def tables(args: Args) -> Tables:
    """Yield two tables per set."""
    for url in args.input:
        name = Path(url).stem
        pipeline.cluster(url, f"{args.folder}/{name}", load_config(args.recipe, {}, "benchmark"), pipeline.LOCAL)
        opened = Opened.of(f"{args.folder}/{name}")
        truth = labels_of(url, opened.state.ids)[0]
        yield f"{name}: queues", queue_rows(opened, truth)
        yield f"{name}: effort", effort_rows(opened, truth, args.answers)


BENCHMARK = Benchmark(
    Args, tables, quick=lambda folder: Args((small(folder),), f"{folder}/runs", "cosine", (0, 10, 20))
)
