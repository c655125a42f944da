"""Recipes of this package as rows of the table.

A row is the whole job, Parquet to labels, and a sweep over its stored edges. The sweep takes over the run of the whole
job, so that it computes edges and communities alone.
"""

import shutil
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measuring.runs import clustered, evaluated
from benchmarks.measuring.scores import COSINES, THETAS
from benchmarks.measuring.timing import peak_gib, timed
from raycluster.config.load import apply, load_config
from raycluster.config.stages import Config, KnnConfig
from raycluster.errors import RayclusterError
from raycluster.evaluation.evaluate import evaluate
from raycluster.limits.in_force import FIELDS
from raycluster.models.card import load_card
from raycluster.models.requirements import recipe_of, with_model
from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from raycluster.training.calibrated_limits import GRID

LABEL_FREE = ("auto", "cosine", "components", "fc-es", "fc-es-sigmoid", "facemap")
PACKAGES = ("raycluster", "infomap", "torch")


def configured(recipe: str, model: str | None, k: int, columns: dict[str, str]) -> Config:
    """Return a recipe with `k` neighbors, or with its own or its model's number.

    columns: values of id_column and embedding_column. Raises ConfigError and InputError as a run does.
    """
    if model is None:
        config = load_config(recipe, columns, "compare")
        return with_model(replace(config, knn=replace(config.knn, k=k)) if config.knn.k == KnnConfig().k else config)
    card, _ = load_card(model)
    config = recipe_of(model) if card.recipe == recipe else load_config(recipe, {"knn": {"k": card.k}}, "compare")
    return with_model(apply(config, {**columns, "model": model}, "compare"))


def swept(config: Config) -> tuple[float, ...]:
    """Return the values over which the recipe's own limit is swept, if it has one.

    The limit is eta, a similarity threshold or theta.
    """
    if config.relations.score != "none":
        return tuple(GRID)
    return {"threshold": COSINES, "early-stop": THETAS}.get(config.edges.rule, ())


def scored(source: str, label_column: str, config: Config, run: str) -> dict[str, Any]:
    """Return the scores of a run, its limits, the job's seconds and its peak.

    Kernels are compiled and libraries imported before. The run stays in the local folder `run` for a sweep, where the
    recipe has one; what lay there is deleted first.
    """
    shutil.rmtree(run, ignore_errors=True)
    with TemporaryDirectory() as folder:
        _warm_up(folder, config)
    job = timed(lambda: clustered(source, run, config))
    peak = peak_gib()
    found = evaluate(run, source, id_column=config.id_column, label_column=label_column)
    if not swept(config):
        shutil.rmtree(run)
    limits = {name: value for name, value in job.result.items() if name in FIELDS}
    return {"scores": found, "limits": limits, "seconds": job.wall, "peak_gib": peak}


def sweep(source: str, label_column: str, config: Config, run: str) -> list[dict[str, Any]]:
    """Return the scores at every limit of `swept`, from the edges of one run.

    It continues the run in `run`, left by `scored` or by a sweep that was ended, and deletes it when done.
    """
    everything = replace(config, edges=replace(config.edges, reserve=1.0))
    columns = {"id_column": config.id_column, "label_column": label_column}
    found, _ = evaluated(source, run, everything, swept(config), replan=True, **columns)
    shutil.rmtree(run)
    return list(found["sweep"])


def _warm_up(folder: str, config: Config) -> None:
    """Compile and import, by a small run of the recipe on rows of its model's width.

    A recipe that cannot cluster them stays cold.
    """
    width = (load_card(config.model)[0].embedding_width if config.model else None) or 64
    rows = 2 * config.knn.k + 100
    write_parquet(SyntheticConfig(rows, width, mean_size=5, max_size=50), f"{folder}/warm")
    plain = replace(config, id_column="id", embedding_column="embedding")
    try:
        clustered(f"{folder}/warm", f"{folder}/warm-run", plain)
    except RayclusterError:
        return
