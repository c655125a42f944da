"""The commands of docs/papers/protocols.md, on generated stand-ins of the same file formats."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from raycluster.synthetic.generator import SyntheticConfig, generate
from support.command_line import call
from support.paths import ROOT

pytestmark = pytest.mark.slow
SETS = {
    "MS1M": ("part0_train", *(f"part{part}_test" for part in (1, 3, 5, 7, 9))),
    "MSMT17": ("msmt17_train", "msmt17_test"),
    "DeepFashion": ("deepfashion_train", "deepfashion_test"),
    "IJB-B": ("CASIA", "512", "1024", "1845"),
}
"""The files of every section."""
ROWS, LISTED = 300, 160
"""Rows of a stand-in, more than FaceMap's K of 256, and neighbors in its lists: no fewer than Face Transformer's 151."""
PAGE = ROOT / "docs" / "papers" / "protocols.md"
SMALL = {
    "training.predictor.fit.steps": "2",
    "training.predictor.fit.batch": "4",
    "training.predictor.encoder.layers": "1",
    "training.predictor.encoder.hidden": "32",
    "training.filter.fit.steps": "2",
    "training.filter.fit.batch": "4",
}
"""Sizes of networks and trainings that run in seconds; the commands stay the same."""


def stand_in(folder: Path, section: str, name: str, seed: int) -> None:
    """Write features and labels in the format of learn-to-cluster (.bin, .meta), or as npy, IJB-B with neighbor lists."""
    width = 512 if section == "IJB-B" else 256
    blocks = list(generate(SyntheticConfig(rows=ROWS, width=width, mean_size=8, max_size=40, seed=seed)))
    vectors = np.concatenate([block[1] for block in blocks]).astype(np.float32)
    labels = np.concatenate([block[2] for block in blocks])
    if section in ("MS1M", "DeepFashion"):
        vectors.tofile(folder / f"{name}.bin")
        np.savetxt(folder / f"{name}.meta", labels, fmt="%d")
    elif section == "MSMT17":
        np.save(folder / f"{name}.npy", vectors)
        np.save(folder / f"{name}_labels.npy", labels)
    else:
        np.save(folder / f"{name}.{'feas' if name == 'CASIA' else 'fea'}.npy", vectors)
        np.save(folder / f"{name}.labels.npy", labels)
        np.save(folder / f"knn.graph.{name}.bf.npy", np.argsort(-(vectors @ vectors.T), axis=1)[:, :LISTED])


def text_of(section: str) -> str:
    """Return a section of the page."""
    return PAGE.read_text("utf-8").split(f"## {section}\n")[1].split("\n## ")[0]


def commands(section: str) -> list[list[str]]:
    """Return the commands of a section's blocks as words, with its loops unrolled."""
    text = "\n".join(re.findall(r"```\n(.*?)```", text_of(section), re.DOTALL)).replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in unrolled(iter(text.splitlines())) if line.strip()]


def unrolled(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines of a script; those between `for NAME in A B; do` and `done` once per value."""
    for line in lines:
        loop = re.fullmatch(r"for (\w+) in (.+); do", line)
        if loop is None:
            yield line
            continue
        body = list(iter(lambda: next(lines), "done"))
        for value in loop[2].split():
            yield from (one.replace(f"${{{loop[1]}}}", value) for one in body)


def shortened(words: list[str]) -> list[str]:
    """Return a command with small networks and trainings, in place of those that it names."""
    if words[0] != "train":
        return [*words, "--executor", "local"] if words[0] == "cluster" else words
    for name, value in SMALL.items():
        if f"--{name}" in words:
            words[words.index(f"--{name}") + 1] = value
        elif not (name.startswith("training.filter") and "--training.filter.source" in words):
            words = [*words, f"--{name}", value]
    return [*words, "--executor", "local"]


def test_every_set_and_every_part_has_its_commands() -> None:
    for section, names in SETS.items():
        words = [word for command in commands(section) for word in command]
        assert all(any(word.startswith((f"{name}.", f"{name}_")) for word in words) for name in names), section
    runs = {command[-1].split("/")[0] for command in commands("MS1M") if command[0] == "evaluate"}
    assert {"part1", "part3", "part5", "part7", "part9"} <= runs


@pytest.mark.parametrize(
    "section",
    [pytest.param("MS1M", marks=[pytest.mark.long, pytest.mark.timeout(1200)]), "MSMT17", "DeepFashion", "IJB-B"],
)
def test_the_commands_run_as_they_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str) -> None:
    run(tmp_path, monkeypatch, section, commands(section))


def test_the_first_commands_of_ms1m_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = commands("MS1M")
    wanted = [
        words for words in printed if {"part0/embeddings", "part1/embeddings", "part1"} & set(words) or "part0" in words
    ]
    end = next(number for number, words in enumerate(wanted) if words[0] == "evaluate")
    run(tmp_path, monkeypatch, "MS1M", wanted[: end + 1])


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, section: str, printed: list[list[str]]) -> None:
    """Run commands of a section beside stand-ins of its files, and check that every run is complete and evaluated."""
    monkeypatch.chdir(folder)
    for seed, name in enumerate(SETS[section]):
        stand_in(folder, section, name, seed)
    for words in printed:
        call(*shortened(words))
    runs = {words[words.index("-o") + 1] for words in printed if words[0] == "cluster"}
    assert runs == {words[1] for words in printed if words[0] == "evaluate"}
    assert all((folder / name / "MANIFEST.json").exists() for name in runs)
