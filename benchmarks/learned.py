"""A trained model against the best-tuned cosine threshold, for any labelled sets: Markdown on stdout, JSON in a file.

The model runs at the limits it was calibrated to; cosine at the threshold it picks from the data, and at the best of a sweep
on the test labels themselves, a bound no user reaches. Runs (FOLDER/TEST/NAME) are taken up again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from ablation import COSINES, best, scores
from measure import Rows, print_tables
from raycluster.config.load import apply, load_config
from raycluster.config.stages import Config
from raycluster.evaluation.evaluate import EvaluateArgs, evaluate
from raycluster.models.requirements import recipe_of
from raycluster.pipeline import run as pipeline
from raycluster.pipeline.run import Execution
from raycluster.training.calibrated_limits import GRID

FROM_FAINT = (*(round(0.025 * step, 3) for step in range(4, 12)), *COSINES)
"""Thresholds that are low enough for noisy sets."""


@dataclass
class Args:
    """A model of jobs/train.py, labelled Parquets (id, embedding, label) it has not seen, and a folder for runs."""

    model: str
    test: tuple[str, ...]
    folder: str
    json: str | None = None


def of_run(test: str, url: str, config: Config, sweep: tuple[float, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `evaluate` finds of a set clustered to `url`, and the run's summary; `sweep` over its threshold or eta."""
    summary = pipeline.cluster(test, url, config, Execution("local"))
    return evaluate(EvaluateArgs(url, test, sweep=sweep)), summary


def rows_of(test: str, args: Args) -> Rows:
    """The table of one test set."""
    folder, recipe = f"{args.folder}/{Path(test).stem}", recipe_of(args.model)
    swept: dict[str, Any] = {"edges": {"reserve": 1.0}}
    model = apply(recipe, {"model": args.model, **swept}, args.model)
    learned, limits = of_run(test, f"{folder}/{Path(args.model).name}", model, tuple(GRID))
    cosine, picked = of_run(test, f"{folder}/cosine", load_config("cosine", swept, test), FROM_FAINT)
    found = [
        (f"{recipe.recipe}, calibrated", learned | {"threshold": limits["eta"]}),
        (f"{recipe.recipe}, best eta", best(learned["sweep"])),
        ("cosine, picked from the data", cosine | {"threshold": picked["threshold"]}),
        ("cosine, best threshold", best(cosine["sweep"])),
    ]
    return [{"method": method, "limit": at["threshold"], **scores(at)} for method, at in found]


def tables(args: Args) -> Iterator[tuple[str, Rows]]:
    """Every test set's table, as soon as it is there."""
    for test in args.test:
        yield test, rows_of(test, args)


if __name__ == "__main__":
    args = tyro.cli(Args)
    print_tables("learned", args, tables(args), args.json)
