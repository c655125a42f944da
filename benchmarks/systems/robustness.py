"""`auto` as it comes, on sets in another guise.

    python -m benchmarks robustness --test labelled.parquet

The rows are shuffled, thinned, rotated, scaled, stored in float16, or moved off their center, and searched to other K.
The change of F_B is against the same rows' labels in the set as it is: a thinned set is an easier task, not a guise.
The last two rows are `cosine`, and the model of `auto` alone on the set as it is, in the same process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from benchmarks.measuring.runs import model_seconds
from benchmarks.measuring.scores import scores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import labelled, small
from benchmarks.measuring.tables import Rows, Tables
from benchmarks.measuring.timing import timed
from raycluster import Clusterer
from raycluster.evaluation import metrics

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Random = np.random.Generator
Guise = Callable[[Floats, Random], tuple[Floats, Ints]]
"""Rows in another guise, and which rows of the set they are."""
CONSTANT = 32
"""Constant dimensions that are appended to every row."""


@dataclass
class Args(Options):
    """Labelled Parquets (embedding, label); at most `rows` of each, drawn at random."""

    test: tuple[str, ...]
    rows: int = 20_000
    threads: int = 2


def _all(rows: Floats) -> Ints:
    return np.arange(len(rows))


def shuffled(rows: Floats, random: Random) -> tuple[Floats, Ints]:
    order = random.permutation(len(rows))
    return rows[order], order


def thinned(rows: Floats, random: Random) -> tuple[Floats, Ints]:
    kept = np.sort(random.permutation(len(rows))[: len(rows) * 9 // 10])
    return rows[kept], kept


def rotated(rows: Floats, random: Random) -> tuple[Floats, Ints]:
    turn, _ = np.linalg.qr(random.standard_normal((rows.shape[1], rows.shape[1])))
    return (rows @ turn).astype(np.float32), _all(rows)


def scaled(rows: Floats, random: Random) -> tuple[Floats, Ints]:
    return rows * random.uniform(0.1, 10, (len(rows), 1)).astype(np.float32), _all(rows)


def padded(length: float, rows: Floats, random: Random) -> tuple[Floats, Ints]:
    """Return the rows with constant dimensions, `length` times as long as a row."""
    constant = random.standard_normal(CONSTANT)
    constant *= length / np.linalg.norm(constant)
    return np.hstack([rows, np.tile(constant, (len(rows), 1))]).astype(np.float32), _all(rows)


def as_it_is(rows: Floats, random: Random) -> tuple[Floats, Ints]:  # noqa: ARG001
    return rows, _all(rows)


def in_float16(rows: Floats, random: Random) -> tuple[Floats, Ints]:  # noqa: ARG001
    return rows.astype(np.float16), _all(rows)


GUISES: dict[str, tuple[Guise, int]] = {
    "as it is, K 80": (as_it_is, 80),
    "K 40": (as_it_is, 40),
    "K 160": (as_it_is, 160),
    "float16": (in_float16, 80),
    "10 % of the rows left out": (thinned, 80),
    "shuffled": (shuffled, 80),
    "rotated": (rotated, 80),
    "every row scaled by 0.1 to 10": (scaled, 80),
    **{
        f"{CONSTANT} constant dimensions, {length} times a row": (partial(padded, length), 80) for length in (0.5, 1, 2)
    },
}


def labels(rows: Floats, recipe: str, k: int, threads: int) -> Ints:
    """Return the labels by a recipe as it comes."""
    return np.asarray(Clusterer(recipe, overrides={"knn": {"k": k}}, threads=threads).fit(rows).labels_)


def measured(truth: Ints, predicted: Ints) -> dict[str, float]:
    """Return F_P, F_B and BCubed precision in percent."""
    columns = scores(metrics.evaluate(truth, predicted))
    return {name: columns[name] for name in ("F_P", "F_B", "P_B")}


def tables(args: Args) -> Tables:
    """Yield a table per set."""
    for url in args.test:
        rows, label = labelled(url)
        some = np.sort(np.random.default_rng(0).permutation(len(rows))[: args.rows])
        rows, label = rows[some], label[some]
        table: Rows = []
        plain = labels(rows, "auto", 80, args.threads)  # the warm-up too: compiling is not timed
        for name, (guise, k) in GUISES.items():
            seen, kept = guise(rows, np.random.default_rng(1))
            run = timed(partial(labels, seen, "auto", k, args.threads))
            row = measured(label[kept], run.result)
            moved = row["F_B"] - measured(label[kept], plain[kept])["F_B"]
            table.append({"guise": name, **row, "s": run.wall, "F_B moved": moved})
        run = timed(partial(labels, rows, "cosine", 80, args.threads))
        table.append({"guise": "`cosine`, K 80", **measured(label, run.result), "s": run.wall})
        spent = model_seconds("auto", rows, 80, args.threads)
        table.append({"guise": "the model alone", "s": spent, "rows/s": round(len(rows) / spent)})
        yield url, table


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args((small(folder),)))
