"""What the health check and strength of a run report, beside the truth; and which wrong rows come first by strength and margin.

    python -m benchmarks health --labelled lfw.parquet celeba.parquet --varied 40

Where the check reports high confidence, most rows should be right, and the mean strength should be the share of right rows. The
limits of the check (`raycluster/pipeline/health.py`) were chosen on sets of these kinds, by other seeds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import generated, labelled
from benchmarks.measuring.swept import calibration_error
from benchmarks.measuring.tables import Rows, Tables
from benchmarks.systems.scale_of_sets import identities, in_bursts, off_center, tags, with_copies
from raycluster import Clusterer
from raycluster.config.load import load_config
from raycluster.evaluation import metrics
from raycluster.executors.progress import Silence
from raycluster.kernels.unit_rows import normalize
from raycluster.models.requirements import with_model
from raycluster.pipeline.health import check
from raycluster.pipeline.run import LOCAL, in_memory, run_stages
from raycluster.stages.labels import labels_of
from raycluster.synthetic.generator import SyntheticConfig
from raycluster.synthetic.settings import PRESETS
from raycluster.synthetic.varied import varied

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Set = tuple[Floats, Ints]
FIRST = (20, 50, 100)
"""Rows that a person would look at: a screen, a sitting, an hour."""
MEASURED = (
    "near_outside", "conflicts", "doubtful", "in_groups", "within", "shared", "largest", "weakest_cut", "is_decided",
)  # fmt: skip
"""Numbers of the check that a line shows."""


@dataclass
class Args(Options):
    """Labelled Parquets (embedding, label) beside the generated sets, and the size of those."""

    labelled: tuple[str, ...] = ()
    rows: int = 3000
    seed: int = 5
    varied: int = 0
    """Sets of `raycluster.synthetic.varied` that are drawn beside them; 40 show most kinds."""
    threads: int = 2
    recipe: str = "auto"


def families(rows: int, seed: int, variants: int = 6, spread: float = 0.25) -> Set:
    """Return families of near copies: variants of one model that are different identities, nearer than noise."""
    random = np.random.default_rng(seed)
    models = normalize(random.standard_normal((rows // (4 * variants), 64)))[0]
    offers = normalize(
        models.repeat(variants, axis=0) + spread * random.standard_normal((len(models) * variants, 64)) / 8
    )
    truth = np.repeat(np.arange(len(offers[0])), 4)
    return normalize(offers[0][truth] + spread * random.standard_normal((len(truth), 64)) / 8)[0], truth


def topics(rows: int, seed: int, modes: int = 8) -> Set:
    """Return topics of many modes: a topic's rows lie in several places, as near to other topics' as to their own."""
    random = np.random.default_rng(seed)
    places = normalize(random.standard_normal((rows // 10, 48)))[0]
    where = random.integers(0, len(places), rows)
    return normalize(places[where] + 0.5 * random.standard_normal((rows, 48)) / 7)[0], where // modes


def strangers(rows: int, seed: int, dimensions: int = 20) -> Set:
    """Return rows of which no two are of one identity, in a few dimensions."""
    random = np.random.default_rng(seed)
    return normalize(random.standard_normal((rows, dimensions)) @ random.standard_normal((dimensions, 64)))[
        0
    ], np.arange(rows)


def named(paths: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the paths of labelled sets with their names."""
    for path in paths:
        yield path.rpartition("/")[2].removesuffix(".parquet"), path


def sets(args: Args) -> Iterator[tuple[str, Set]]:
    """Yield names and sets."""
    for name, path in named(args.labelled):
        yield name, labelled(path)
    for name in ("demo", "long-tail", "dense", "singletons"):
        settings = {**PRESETS[name], "rows": args.rows, "seed": args.seed}
        yield f"preset {name}", generated(SyntheticConfig(**settings))
    count = args.rows // 10
    yield "clear identities", identities(count, 10, 64, 0.5, args.seed)
    yield "noisy identities", identities(count, 10, 64, 1.0, args.seed)
    yield "pairs", identities(args.rows // 2, 2, 64, 0.5, args.seed)
    yield "bursts of 3", in_bursts(identities(count // 3, 10, 64, 0.5, args.seed), 3)
    yield "half copies", with_copies(identities(count // 2, 10, 64, 0.5, args.seed), 0.5)
    yield "tags", tags(min(count, 100), 6, 20, 12, 4)
    yield "families of near copies", families(args.rows, args.seed)
    yield "families of nearer copies", families(args.rows, args.seed, 12, 0.15)
    yield "topics of 8 modes", topics(args.rows, args.seed)
    yield "topics of 30 modes", topics(args.rows, args.seed, 30)
    yield "noisy pairs", identities(args.rows // 2, 2, 64, 1.0, args.seed)
    yield "triples in 32 dimensions", identities(args.rows // 3, 3, 32, 0.6, args.seed)
    yield "a common mean", off_center(identities(count, 10, 64, 0.6, args.seed), 2.0)
    yield "noise alone around a mean", off_center(strangers(args.rows, args.seed, 64), 2.0)
    yield "strangers", strangers(args.rows, args.seed)
    yield "strangers in 8 dimensions", strangers(args.rows, args.seed, 8)
    for number in range(args.varied):
        drawn = varied(args.seed, number)
        yield f"varied({args.seed}, {number})", generated(replace(drawn, rows=min(drawn.rows, args.rows)))


def line_of(name: str, made: Set, args: Args) -> dict[str, object]:
    """Return a line of the table: what the check reported, and the truth."""
    config = with_model(load_config(args.recipe, {}, "benchmark"))
    tables = in_memory(normalize(np.asarray(made[0], np.float32))[0], config, args.threads)
    run_stages(tables, LOCAL, Silence())
    found = check(tables)
    labels = labels_of(tables)
    scores = metrics.evaluate(made[1], labels.cluster_id)
    right, is_shared = metrics.majority(made[1], labels.cluster_id)
    measured = {key: found[key] for key in MEASURED}
    truth = {
        "BCubed p": round(scores["bcubed"]["precision"], 3),
        "BCubed F": round(scores["bcubed"]["f"], 3),
        "pairwise p": round(scores["pairwise"]["precision"], 3),
        "right rows": round(float(right[is_shared].mean()), 3) if is_shared.any() else None,
        "mean strength": round(float(labels.strength[is_shared].mean()), 3) if is_shared.any() else None,
        "strength error": round(calibration_error(labels.strength, right, is_shared), 3),
    }
    return {"set": name, "rows": len(made[1]), "confidence": found["level"], **truth, **measured, "why": found["why"]}


def doubtful_of(name: str, made: Set, args: Args) -> Rows:
    """Return how many of the first rows by a column, least certain first, are not of their cluster's majority identity."""
    fitted = Clusterer(recipe=args.recipe, n_jobs=args.threads).fit(np.asarray(made[0], np.float32))
    wrong = 1 - metrics.majority(made[1], fitted.labels_)[0]  # of two identities that tie, half of the rows
    lines: Rows = []
    for column in ("strength", "margin"):
        value = fitted.rows_[column].to_numpy()
        order = np.argsort(value, kind="stable")  # NaN, of rows alone, comes last
        first = {f"first {count}": round(float(wrong[order[:count]].sum())) for count in FIRST}
        lines.append({"set": name, "sorted by": column, "wrong rows": round(float(wrong.sum())), **first})
    return lines


def tables(args: Args) -> Tables:
    """Yield a table of all sets, growing, and one of the labelled sets' doubtful rows."""
    table: Rows = []
    for name, made in sets(args):
        table.append(line_of(name, made, args))
        yield "Health check", table
    doubtful = ((name, labelled(path)) for name, path in named(args.labelled))
    yield "Wrong rows first", [line for name, made in doubtful for line in doubtful_of(name, made, args)]


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args(rows=200, recipe="cosine"))
