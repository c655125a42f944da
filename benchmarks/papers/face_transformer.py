"""S3's Tables 5 and 6, and neighbors searched among contexts.

    python -m benchmarks face_transformer --train train.parquet --test test.parquet --folder work

Table 5 has the whole network and either half alone. Table 6 alters one of six settings at a time; contexts keep their width.
`iterated` searches neighbors of contexts in place of embeddings, as the paper suggests in its conclusion: both by `cosine` at the
best threshold on the test labels, a bound that no user reaches. Scores are of runs as calibrated, with the mean over trainings
and a 95 % interval by Student's t. Differences are paired by training. `pair AP` is the average precision of pairs of held-out
identities: links alone, without the components that they make.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring.runs import clustered, evaluated
from benchmarks.measuring.scores import COSINES, best, short_scores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.papers._intervals import claim, in_words
from benchmarks.papers._laboratory import SCORES
from benchmarks.papers._models import scores_of, trained
from raycluster.config.load import load_config
from raycluster.models.card import load_card
from raycluster.pipeline.run import open_run

COLUMNS = (*SCORES, "pair AP")
"""Scores of the tables. The average precision is that of pairs of held-out identities of the training set."""
PARTS = {"RE + LP": "face-transformer", "only RE": "face-transformer-only-re", "only LP": "face-transformer-only-lp"}
"""Rows of Table 5."""
SETTINGS: dict[str, tuple[int | float, ...]] = {
    "depth": (1, 4), "heads": (2, 8), "head width": (32, 128), "dropout": (0.2, 0.6), "hop1": (120, 180), "hop2": (10, 20),
}  # fmt: skip
"""The six settings of Table 6, with the values beside the default: 2 layers, 4 heads of 64, dropout 0.4, hop1 150, hop2 5."""
SMALL_SETTINGS: dict[str, tuple[int | float, ...]] = SETTINGS | {
    "depth": (2, 4),
    "head width": (8, 32),
    "hop1": (15, 25),
    "hop2": (2, 8),
}
"""The same about the small default: 1 layer, 4 heads of 16, hop1 20."""


@dataclass
class Args(Options):
    """Labelled Parquets (id, embedding, label), and a folder for models and runs."""

    train: tuple[str, ...]
    test: str
    folder: str
    tables: tuple[Literal["5", "6", "iterated"], ...] = ("5", "iterated")
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 400
    batch: int = 8
    published: bool = False
    """Whether network and neighbors are the recipe's: width 256, hop1 150."""


def values_of(args: Args, name: str = "", value: float = 0) -> dict[str, Any]:
    """Return what is laid over the recipes, with one setting of Table 6 altered."""
    sizes = {"depth": 2, "heads": 4, "head width": 64, "dropout": 0.4, "hop1": 150, "hop2": 5}
    if not args.published:
        sizes |= {"depth": 1, "head width": 16, "hop1": 20}
    if name:
        sizes[name] = int(value) if name != "dropout" else value
    encoder: dict[str, Any] = {"layers": sizes["depth"], "heads": sizes["heads"], "dropout": sizes["dropout"]}
    encoder |= {"width": 256 if args.published else 64, "head_width": sizes["head width"]}
    fit: dict[str, Any] = {}
    if not args.published:
        encoder["hidden"] = 256
        fit = {"steps": args.steps, "batch": args.batch, "warmup_steps": args.steps // 8, "evaluate_every": args.steps}
    predictor = {"encoder": encoder, "hop2": sizes["hop2"], "fit": fit}
    return {"knn": {"k": sizes["hop1"] + 1}, "training": {"predictor": predictor}}


def points_of(args: Args, recipe: str, name: str, values: dict[str, Any]) -> dict[int, Row]:
    """Return the scores of a recipe, in percent, by training."""
    if recipe.endswith("only-lp"):
        values["training"]["predictor"]["hop2"] = 0
    points: dict[int, Row] = {}
    for seed in args.seeds:
        model = trained(args.folder, name, recipe, args.train, values, seed)
        card, _ = load_card(model)
        points[seed] = in_percent(scores_of(args.folder, model, recipe, args.test, {"knn": values["knn"]}))
        points[seed]["pair AP"] = 100 * card.metrics["predictor"]["average_precision"]
    return points


def in_percent(scores: dict[str, float]) -> Row:
    """Return scores with NMI in percent as the others are."""
    return scores | {"NMI": 100 * scores["NMI"]}


def row_of(points: dict[int, Row]) -> Row:
    """Return means over trainings."""
    return {**{name: in_words([one[name] for one in points.values()]) for name in COLUMNS}, "trainings": len(points)}


def table_5(args: Args) -> Tables:
    """Yield the network and its halves, and how far the whole is above each."""
    title, rows, points = f"Table 5: {Path(args.test).stem}", [], {}
    for method, recipe in PARTS.items():
        points[method] = points_of(args, recipe, "", values_of(args))
        rows.append({"method": method, **row_of(points[method])})
        yield title, rows
    whole, *halves = points
    yield (
        f"{title}, paired differences",
        [claim(f"{whole} is above {half}", points[whole], points[half], COLUMNS) for half in halves],
    )


def table_6(args: Args) -> Tables:
    """Yield the default, then every altered setting, and how far each is above the default."""
    title = f"Table 6: {Path(args.test).stem}"
    default = points_of(args, PARTS["RE + LP"], "", values_of(args))
    rows: Rows = [{"setting": "default", **row_of(default)}]
    differences: Rows = []
    for name, others in (SETTINGS if args.published else SMALL_SETTINGS).items():
        for value in others:
            label = f"-{name.replace(' ', '-')}-{value}"
            points = points_of(args, PARTS["RE + LP"], label, values_of(args, name, value))
            rows.append({"setting": name, "value": value, **row_of(points)})
            differences.append(claim(f"{name} {value:g} is above the default", points, default, COLUMNS))
            yield title, rows
            yield f"{title}, paired differences", differences


def iterated(args: Args) -> Iterator[Row]:
    """Yield `cosine` on the embeddings, and on the contexts of the half that only encodes."""
    recipe, values = PARTS["only RE"], values_of(args)
    model = trained(args.folder, "", recipe, args.train, values, args.seeds[0])
    url = f"{args.folder}/runs/contexts-{Path(args.test).stem}"
    # copies keep a row of their own, so that rows and labels match
    whole = {"model": model, "knn": values["knn"], "embeddings": {"duplicates": "keep"}}
    clustered(args.test, url, load_config(recipe, whole, "benchmark"))
    run = open_run(url)
    contexts = f"{args.folder}/{Path(args.test).stem}-contexts.parquet"
    vectors = np.asarray(run.column("contexts", "context"))
    labels = _in_order_of_ids(args.test)
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
    table = {"id": labels["id"], "embedding": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])}
    pq.write_table(pa.table({**table, "label": labels["label"]}), contexts)
    for name, test in (("embeddings", args.test), ("contexts", contexts)):
        edges = {"threshold": COSINES[0], "reserve": 0.0}
        config = load_config("cosine", {"knn": values["knn"], "edges": edges}, "benchmark")
        found, _ = evaluated(test, f"{args.folder}/runs/cosine-{name}", config, COSINES)
        at = best(found["sweep"])
        yield {"neighbors of": name, "threshold": at["threshold"], **in_percent(short_scores(at))}


def _in_order_of_ids(test: str) -> pa.Table:
    """Return ids and labels in the order of a run's rows, which is that of ids."""
    files = sorted(Path(test).glob("*.parquet")) if Path(test).is_dir() else [test]
    return pa.concat_tables([pq.read_table(file, columns=["id", "label"]) for file in files]).sort_by("id")


def table_of_contexts(args: Args) -> Tables:
    """Yield the rows of `iterated`."""
    rows: Rows = []
    for row in iterated(args):
        rows.append(row)
        yield f"iterated: {Path(args.test).stem}", rows


TABLES = {"5": table_5, "6": table_6, "iterated": table_of_contexts}


def tables(args: Args) -> Tables:
    """Yield the tables as they grow."""
    for number in args.tables:
        yield from TABLES[number](args)


def _quick(folder: str) -> Args:
    train, test = small(folder, rows=400, seed=1), small(folder, rows=200)
    return Args((train,), test, f"{folder}/work", seeds=(0,), steps=8)


BENCHMARK = Benchmark(Args, tables, _quick)
