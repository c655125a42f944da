"""S1's Table 6: LCEPCE with plain and with differential attention.

    python -m benchmarks lcepce --train train.parquet --test test.parquet --folder work

Both train on the same sets and are scored as calibrated, with the mean over trainings and a 95 % interval by Student's t.
The last row has the differences per seed. In place of the second network, PCENet, the best connection of a row must exceed a
calibrated limit.
"""

from dataclasses import dataclass
from typing import Any

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Rows, Tables
from benchmarks.papers._intervals import in_words, paired, verdict
from benchmarks.papers._models import scores_of, trained

RECIPES = {"LCEPCE + Vanilla": "lcepce", "LCEPCE + Diff": "lcepce-differential"}
SCORES = ("F_P", "F_B", "NMI")


@dataclass
class Args(Options):
    """Labelled Parquets (id, embedding, label), and a folder for models and runs."""

    train: tuple[str, ...]
    test: str
    folder: str
    seeds: tuple[int, ...] = (0, 1, 2)
    knn_k: int = 40
    steps: int = 600
    published: bool = False
    """Whether the network is the recipe's, three layers as wide as its tokens, and not two of width 64."""


def values_of(args: Args) -> dict[str, Any]:
    """Return what is laid over both recipes."""
    values: dict[str, Any] = {"knn": {"k": args.knn_k}}
    if not args.published:
        encoder = {"layers": 2, "heads": 4, "width": 64, "hidden": 256}
        fit = {
            "optimizer": "adamw",
            "learning_rate": 0.001,
            "batch": 32,
            "steps": args.steps,
            "evaluate_every": args.steps,
        }
        values["training"] = {"predictor": {"encoder": encoder, "fit": fit}}
    return values


def tables(args: Args) -> Tables:
    """Yield the table after every training."""
    values = values_of(args)
    points: dict[str, dict[int, dict[str, float]]] = {method: {} for method in RECIPES}
    for seed in args.seeds:
        for method, recipe in RECIPES.items():
            model = trained(args.folder, "", recipe, args.train, values, seed)
            found = scores_of(args.folder, model, recipe, args.test, {"knn": values["knn"]})
            points[method][seed] = found | {"NMI": 100 * found["NMI"]}
        yield "Table 6: LCEPCE", rows_of(points)


def rows_of(points: dict[str, dict[int, dict[str, float]]]) -> Rows:
    """Return both methods, and their difference per seed."""
    rows: Rows = [
        {"method": method, **{name: in_words([point[name] for point in seeds.values()]) for name in SCORES}}
        for method, seeds in points.items()
    ]
    plain, differential = points.values()
    differences = {name: paired(differential, plain, name) for name in SCORES}
    words = {name: in_words(some, "+") for name, some in differences.items()}
    return [*rows, {"method": "the difference", **words, "by F_B it": verdict(differences["F_B"])}]


def _quick(folder: str) -> Args:
    return Args((small(folder, rows=400, seed=1),), small(folder, rows=200), f"{folder}/work", (0,), knn_k=10, steps=3)


BENCHMARK = Benchmark(Args, tables, _quick)
