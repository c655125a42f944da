"""Our own recipe for long tails: what `diff-cluster-checked` does beside `diff-cluster`, `auto` and `cosine`.

    python -m benchmarks long_tails --train train.parquet --test test.parquet --folder work

Both recipes of S1 train on the same sets with small networks, share a filter, and are scored as calibrated. `auto` and `cosine`
read no label.
P_B and R_B are BCubed precision and recall. All are percent.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring.runs import evaluated, numeric_limits
from benchmarks.measuring.scores import scores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Rows, Tables
from benchmarks.papers._laboratory import FIT, SMALL
from benchmarks.papers._models import trained
from raycluster.config.load import load_config

RECIPES = ("diff-cluster-checked", "diff-cluster", "auto", "cosine")


@dataclass
class Args(Options):
    """Labelled Parquets (id, embedding, label), and a folder for models and runs."""

    train: tuple[str, ...]
    test: str
    folder: str
    recipes: tuple[str, ...] = RECIPES
    knn_k: int = 40
    steps: int = 300
    filter_steps: int = 600


def values_of(args: Args, recipe: str) -> dict[str, Any]:
    """Return what is laid over a recipe: k, and small networks where it trains any."""
    values: dict[str, Any] = {"knn": {"k": args.knn_k}}
    if recipe.startswith("diff-cluster"):
        topk = {"tokens": "gram", "encoder": SMALL | {"dropout": 0.0}}
        topk["fit"] = FIT | {"steps": args.filter_steps, "evaluate_every": args.filter_steps}
        fit = FIT | {"steps": args.steps, "evaluate_every": args.steps}
        predictor: dict[str, Any] = {"encoder": SMALL, "adjust": None, "head": [], "fit": fit}
        values["training"] = {"filter": topk, "predictor": predictor}
    return values


def tables(args: Args) -> Tables:
    """Yield the table as it grows."""
    rows: Rows = []
    filtered: str | None = None
    for recipe in args.recipes:
        values = values_of(args, recipe)
        own: dict[str, Any] = {"knn": values["knn"]}
        if "training" in values:
            values["training"]["filter"]["source"] = filtered
            own["model"] = filtered = trained(args.folder, "", recipe, args.train, values, 0)
        url = f"{args.folder}/runs/{Path(args.test).stem}-{recipe}"
        found = scores(evaluated(args.test, url, load_config(recipe, own, "benchmark"))[0])
        columns = {name: found[name] for name in ("F_P", "F_B", "P_B", "R_B")}
        rows.append({"recipe": recipe, **columns, **numeric_limits(url)})
        yield f"long tails: {Path(args.test).stem}, K {args.knn_k}", rows


def _quick(folder: str) -> Args:
    train, test = small(folder, rows=600, seed=1), small(folder, rows=200)
    return Args((train,), test, f"{folder}/work", ("diff-cluster-checked", "cosine"), 10, 3, 3)


BENCHMARK = Benchmark(Args, tables, _quick)
