"""Models that the benchmarks of the papers train once, and their scores on a test set."""

from pathlib import Path
from typing import Any

from benchmarks.measuring.runs import evaluated
from benchmarks.measuring.scores import short_scores
from raycluster.config.execution import Execution
from raycluster.config.load import load_config, load_training
from raycluster.training.job import TrainingRequest, train_model


def trained(folder: str, name: str, recipe: str, train: tuple[str, ...], values: dict[str, Any], seed: int) -> str:
    """Return the URL of a model, trained with what is laid over its recipe unless it is there.

    Parameters
    ----------
    folder
        Holds models and runs.
    name
        Of the model; recipe and seed are added.
    recipe
        The recipe.
    train
        Labelled sets.
    values
        What is laid over the recipe.
    seed
        Of weights, order and split.
    """
    url = f"{folder}/models/{recipe}{name}-{seed}"
    own = values | {"training": values.get("training", {}) | {"seed": seed}}
    config, training = load_config(recipe, own, "benchmark"), load_training(recipe, own, "benchmark")
    train_model(TrainingRequest(train, url, config, training, Execution("local")))
    return url


def scores_of(folder: str, model: str, recipe: str, test: str, values: dict[str, Any]) -> dict[str, float]:
    """Return F_P, F_B and NMI of a test set clustered by a model as it was calibrated."""
    url = f"{folder}/runs/{Path(test).stem}/{Path(model).name}"
    config = load_config(recipe, values | {"model": model}, "benchmark")
    return short_scores(evaluated(test, url, config)[0])
