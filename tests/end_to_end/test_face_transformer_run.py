"""S3 as a user has it: trained on labelled rows, then identities found with it, whatever the shards and whoever is killed."""

import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from raycluster.config.load import load_config, load_training
from raycluster.errors import ConfigError, InputError
from raycluster.evaluation.evaluate import evaluate
from raycluster.models.card import load_card
from raycluster.pipeline.run import Execution, cluster
from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from raycluster.training.job import TrainingRequest
from raycluster.training.job import train_model as train
from support.runs import command, here, interrupted, labels, looks_finished, run

pytestmark = pytest.mark.slow

LOCAL = Execution(executor="local")
RECIPES = ("face-transformer", "face-transformer-only-re", "face-transformer-only-lp")
OVERRIDES: dict[str, Any] = {
    "knn": {"k": 16},
    "training": {
        "predictor": {
            "encoder": {"layers": 1, "heads": 2, "hidden": 32, "dropout": 0.0},
            "fit": {"learning-rate": 0.003, "warmup-steps": 10, "steps": 120, "evaluate-every": 40, "patience": 0},
        }
    },
}


def arguments(source: str, output: Path, recipe: str, **overrides: Any) -> TrainingRequest:
    values = {**OVERRIDES, **overrides}
    return TrainingRequest((source,), str(output), load_config(recipe, values), load_training(recipe, values), LOCAL)


@pytest.fixture(scope="module")
def models(identities: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A model of each recipe, trained on the small synthetic set."""
    folder = tmp_path_factory.mktemp("models")
    for recipe in RECIPES:
        train(arguments(identities, folder / recipe, recipe))
    return {recipe: str(folder / recipe) for recipe in RECIPES}


def clustered(source: str, output: Path, model: str, shards: int = 1) -> float:
    """BCubed F of the rows clustered as the model's card says."""
    config = dataclasses.replace(load_config(load_card(model)[0].recipe, {"knn": {"k": 16}}), model=model)
    cluster(source, str(output), config, dataclasses.replace(LOCAL, shards=shards))
    return float(evaluate(str(output), source)["bcubed"]["f"])


def test_models_hold_the_parts_of_their_recipe_and_tau_from_held_out_identities(models: dict[str, str]) -> None:
    parameters = {}
    for recipe, url in models.items():
        card, _ = load_card(url)
        assert sorted(os.listdir(url)) == ["card.json", "predictor.safetensors"]
        assert (card.recipe, card.k, card.embedding_width) == (recipe, 16, 48)
        assert card.thresholds.keys() == {"eta", "slope", "intercept"}
        assert [look["step"] for look in card.history["predictor"]] == [40, 80, 120]
        parameters[recipe] = card.networks["predictor"].parameters
    assert parameters["face-transformer"] == sum(parameters[recipe] for recipe in RECIPES[1:])
    assert load_card(models["face-transformer"])[0].metrics["predictor"]["average_precision"] > 0.85
    assert load_card(models["face-transformer-only-re"])[0].metrics["predictor"]["average_precision"] > 0.97


@pytest.mark.parametrize("recipe", RECIPES)
def test_labels_do_not_depend_on_the_shards(
    models: dict[str, str], identities: str, tmp_path: Path, recipe: str
) -> None:
    found = clustered(identities, tmp_path / "one", models[recipe])
    assert found > {"face-transformer": 0.6, "face-transformer-only-re": 0.85}.get(recipe, 0.0)
    clustered(identities, tmp_path / "three", models[recipe], shards=3)
    assert labels(tmp_path / "one").equals(labels(tmp_path / "three"))
    summary = json.loads((tmp_path / "one" / "MANIFEST.json").read_text())["summary"]
    assert summary["eta"] == load_card(models[recipe])[0].thresholds["eta"]
    assert any((tmp_path / "one" / "stages").glob("contexts")) == (recipe != "face-transformer-only-lp")


def test_a_job_killed_among_the_contexts_goes_on_and_ends_with_the_same_labels(
    models: dict[str, str], identities: str, tmp_path: Path
) -> None:
    options = ("--model", models["face-transformer"], "--executor", "local", "--shards", "8", "--knn.k", "16")
    disturbed = tmp_path / "disturbed"
    asked = command(identities, str(disturbed), *options)
    killed = interrupted(asked, "stages/contexts/*/done/*")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert looks_finished(disturbed) == []
    kept = {path: path.stat().st_mtime_ns for path in disturbed.glob("stages/contexts/*/done/*.json")}
    assert len(kept) == 1
    done = run(asked)
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items()), "a finished shard was computed again"
    assert here(identities, str(tmp_path / "undisturbed"), *options).code == 0
    assert labels(disturbed).equals(labels(tmp_path / "undisturbed"))


def test_rows_of_another_width_are_refused_in_a_sentence(models: dict[str, str], tmp_path: Path) -> None:
    narrow = str(tmp_path / "narrow")
    write_parquet(SyntheticConfig(rows=300, width=24, effective_dimension=24, mean_size=6, same_cosine=0.85), narrow)
    for url in models.values():
        with pytest.raises(InputError, match="trained on embeddings of width 48, these have 24"):
            clustered(narrow, tmp_path / Path(url).name, url)


def test_what_cannot_be_trained_is_refused_before_anything_is_computed(identities: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^training\.predictor\.hop2 is 5: it must be below knn\.k, which is 5\.$"):
        train(arguments(identities, tmp_path / "model", "face-transformer", knn={"k": 5}))
    assert not (tmp_path / "model").exists()
    with pytest.raises(ConfigError, match=r"^training\.generated needs gram tokens"):
        dataclasses.replace(load_training("face-transformer"), generated=40_000)
