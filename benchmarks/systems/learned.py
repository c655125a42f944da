"""A trained model against the best-tuned cosine threshold, for any labelled sets.

    python -m benchmarks learned --model auto --test labelled.parquet --folder runs

The model runs at the limits it was calibrated to; cosine at the threshold it picks from the data, and at the best of a
sweep on the test labels themselves, a bound that no user reaches. Finished runs (FOLDER/TEST/NAME) are only read.
"""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring.runs import evaluated
from benchmarks.measuring.scores import FAINT_COSINES, best, scores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Rows, Tables
from raycluster.config.load import apply, load_config
from raycluster.models.requirements import recipe_of
from raycluster.training.calibrated_limits import GRID


@dataclass
class Args(Options):
    """A model, labelled Parquets (id, embedding, label), and a folder for runs.

    The sets must not be those that the model was trained on.
    """

    model: str
    test: tuple[str, ...]
    folder: str


def rows_of(test: str, args: Args) -> Rows:
    """Return the table of one test set."""
    folder, recipe = f"{args.folder}/{Path(test).stem}", recipe_of(args.model)
    swept = {"edges": {"reserve": 1.0}}
    model = apply(recipe, {"model": args.model, **swept}, args.model)
    learned, limits = evaluated(test, f"{folder}/{Path(args.model).name}", model, tuple(GRID))
    cosine, picked = evaluated(test, f"{folder}/cosine", load_config("cosine", swept, test), FAINT_COSINES)
    points = {
        f"{recipe.recipe}, calibrated": learned | {"threshold": limits["eta"]},
        f"{recipe.recipe}, best eta": best(learned["sweep"]),
        "cosine, picked from the data": cosine | {"threshold": picked["threshold"]},
        "cosine, best threshold": best(cosine["sweep"]),
    }
    return [{"method": method, "limit": at["threshold"], **scores(at)} for method, at in points.items()]


def tables(args: Args) -> Tables:
    """Yield the table of every test set."""
    for test in args.test:
        yield test, rows_of(test, args)


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args("auto", (small(folder),), f"{folder}/runs"))
