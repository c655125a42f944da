"""The commands of docs/papers/protocols.md, on generated stand-ins of the same file formats."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from raycluster.synthetic.generator import SyntheticConfig, generate
from support.command_line import call
from support.paths import ROOT

SETS = {
    "MS1M": {"part0_train": "bin", "part1_test": "bin"},
    "MSMT17": {"msmt17_train": "npy", "msmt17_test": "npy"},
    "DeepFashion": {"deepfashion_train": "bin", "deepfashion_test": "bin"},
    "IJB-B": {"casia": "npy", "features": "npy"},
}
"""The files of every section, and their format."""
WIDTHS = {"casia": 512, "features": 512}
"""Widths of features that are not 256."""
PAGE = ROOT / "docs" / "papers" / "protocols.md"
FIT = ["--training.predictor.fit.steps", "3", "--training.predictor.fit.batch", "8", "--executor", "local"]
ENCODER = ["--training.predictor.encoder.layers", "1", "--training.predictor.encoder.hidden", "32"]
FILTER = ["--training.filter.fit.steps", "3", "--training.filter.fit.batch", "8"]
SMALL = {"MS1M": [*FIT, *ENCODER, *FILTER, "--knn.k", "12"], "MSMT17": [*FIT, *ENCODER, *FILTER]}
"""Sizes of networks and trainings that run in seconds; the commands stay the same."""


def stand_in(folder: Path, name: str, seed: int, suffix: str) -> None:
    """Write features and labels as `name` in the format of learn-to-cluster (.bin, .meta) or of L-GCN (.npy, also neighbors)."""
    blocks = list(generate(SyntheticConfig(rows=300, width=WIDTHS.get(name, 256), mean_size=8, max_size=40, seed=seed)))
    vectors = np.concatenate([block[1] for block in blocks]).astype(np.float32)
    labels = np.concatenate([block[2] for block in blocks])
    if suffix == "bin":
        vectors.tofile(folder / f"{name}.bin")
        np.savetxt(folder / f"{name}.meta", labels, fmt="%d")
        return
    np.save(folder / f"{name}.npy", vectors)
    np.save(folder / ("labels.npy" if name == "features" else f"{name}_labels.npy"), labels)
    np.save(folder / "knn.npy", np.argsort(-(vectors @ vectors.T), axis=1)[:, :13])


def commands(section: str) -> list[list[str]]:
    text = PAGE.read_text("utf-8").split(f"## {section}")[1].split("\n## ")[0]
    block = re.search(r"```\n(.*?)```", text, re.DOTALL)
    assert block
    return [shlex.split(line)[1:] for line in block[1].strip().splitlines()]


@pytest.mark.parametrize("section", SETS)
def test_the_commands_run_as_they_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, (name, suffix) in enumerate(SETS[section].items()):
        stand_in(tmp_path, name, seed, suffix)
    printed = commands(section)
    for words in printed:
        more = {"train": SMALL.get(section, FIT + ENCODER), "cluster": ["--executor", "local"]}.get(words[0], [])
        call(*words, *more)
    runs = [tmp_path / words[words.index("-o") + 1] for words in printed if words[0] == "cluster"]
    assert runs
    assert all((run / "MANIFEST.json").exists() for run in runs)
    assert not any(words[0] == "evaluate" and not Path(words[1]).exists() for words in printed)
