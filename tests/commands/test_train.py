"""The command that trains: its recipe, and the request that it makes of the arguments."""

import sys
from pathlib import Path
from typing import Any

import pytest

from raycluster.commands.train import TrainArgs, train, with_recipe
from raycluster.config.load import load_config, load_training
from raycluster.training import job
from support.paths import ROOT
from support.runs import run


def test_the_recipe_is_the_one_that_tunes_where_a_model_is_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = str(tmp_path / "nowhere")
    words = [str(ROOT / "jobs" / "train.py"), "--input", str(tmp_path), "--output", "model"]
    for more, recipe in (
        ([], "sdt-row"),
        (["--from", base], "auto-tuned"),
        (["--from", base, "--recipe", "fc-es-topk"], "fc-es-topk"),
    ):
        monkeypatch.setattr(sys, "argv", [*words, *more])
        assert with_recipe().settings.recipe == recipe


def test_values_of_a_file_are_laid_over_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my.yaml").write_text("recipe: auto-tuned\nknn: {k: 24}\ntraining: {seed: 7}\n")
    monkeypatch.setattr(sys, "argv", ["train.py", "--config", str(tmp_path / "my.yaml")])
    args = with_recipe()
    assert (args.settings.recipe, args.settings.knn.k, args.training.seed) == ("auto-tuned", 24, 7)


def test_a_model_that_is_missing_is_named_in_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "jobs" / "train.py"), "--from", str(tmp_path / "nowhere")]
    done = run([*command, "--input", str(tmp_path), "--output", str(tmp_path / "model")])
    assert done.returncode == 2
    assert done.stderr.strip() == f"error: {tmp_path / 'nowhere'} holds no trained model: there is no card.json."


def test_every_argument_reaches_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[Any] = []
    monkeypatch.setattr(job, "train_model", lambda request: requests.append(request) or {"model": "m"})
    settings, training = load_config("auto-tuned"), load_training("auto-tuned")
    args = TrainArgs(("a", "b"), "m", settings, training, label_column="person", from_model="auto")
    assert train(args) == {"model": "m"}
    request = requests[0]
    assert (request.input, request.output, request.label_column, request.base_model) == (
        ("a", "b"),
        "m",
        "person",
        "auto",
    )
    assert (request.config, request.training, request.execution) == (settings, training, args.execution)
