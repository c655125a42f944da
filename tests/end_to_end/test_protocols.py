"""The commands of docs/papers/protocols.md, on generated stand-ins of the same file formats."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from raycluster.synthetic.generator import SyntheticConfig, generate
from support.command_line import call
from support.paths import ROOT

PAGE = ROOT / "docs" / "papers" / "protocols.md"
SMALL = [
    "--knn.k", "12", "--training.filter.fit.steps", "3", "--training.predictor.fit.steps", "3",
    "--training.predictor.encoder.layers", "1", "--training.predictor.encoder.hidden", "32",
    "--training.predictor.fit.batch", "16", "--training.filter.fit.batch", "16", "--executor", "local",
]  # fmt: skip
"""Sizes of networks and trainings that run in seconds; the commands stay the same."""


def stand_in(folder: Path, name: str, seed: int, suffix: str) -> None:
    """Write features and labels as `name` in the format of learn-to-cluster (.bin, .meta) or of L-GCN (.npy)."""
    blocks = list(generate(SyntheticConfig(rows=300, width=256, mean_size=8, max_size=40, seed=seed)))
    vectors = np.concatenate([block[1] for block in blocks]).astype(np.float32)
    labels = np.concatenate([block[2] for block in blocks])
    if suffix == "bin":
        vectors.tofile(folder / f"{name}.bin")
        np.savetxt(folder / f"{name}.meta", labels, fmt="%d")
        return
    np.save(folder / "features.npy", vectors)
    np.save(folder / "labels.npy", labels)
    np.save(folder / "knn.npy", np.argsort(-(vectors @ vectors.T), axis=1)[:, :13])


def commands(section: str) -> list[list[str]]:
    text = PAGE.read_text("utf-8").split(f"## {section}")[1].split("\n## ")[0]
    block = re.search(r"```\n(.*?)```", text, re.DOTALL)
    assert block
    return [shlex.split(line)[1:] for line in block[1].strip().splitlines()]


def test_the_commands_of_ms1m_and_ijbb_run_as_they_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, seed in (("part0_train", 1), ("part1_test", 2)):
        stand_in(tmp_path, name, seed, "bin")
    stand_in(tmp_path, "ijbb", 3, "npy")
    for words in (*commands("MS1M"), commands("IJB-B")[0]):
        more = {"train": SMALL, "cluster": ["--executor", "local"]}.get(words[0], [])
        call(*words, *more)
    assert (tmp_path / "run" / "MANIFEST.json").exists()
    assert (tmp_path / "ijbb" / "knn").is_dir()
