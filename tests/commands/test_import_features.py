"""The command that imports features: its arguments are those of the function."""

import inspect
from dataclasses import fields
from pathlib import Path

import numpy as np

from raycluster.commands.import_features import ImportArgs, main
from raycluster.storage.feature_import import import_features


def test_every_parameter_of_the_import_is_an_option() -> None:
    assert [option.name for option in fields(ImportArgs)] == list(inspect.signature(import_features).parameters)


def test_the_command_converts_and_returns_the_summary(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(4, 3, dtype=np.float32) + 1)
    summary = main(ImportArgs(str(tmp_path / "x.npy"), str(tmp_path / "out")))
    assert (summary["rows"], summary["width"], summary["knn"]) == (4, 3, None)
    assert (tmp_path / "out" / "import.json").is_file()
