"""The suite of the papers has every benchmark of theirs, with options that each of them takes."""

import importlib
import json
from pathlib import Path

import pytest

from benchmarks.__main__ import module_of, scripts
from benchmarks.measuring.words import parse
from benchmarks.papers import suite
from raycluster.errors import RayclusterError

ARGS = suite.Args(folder="work", train="train.parquet", test="test.parquet")


def test_it_has_every_benchmark_of_the_papers() -> None:
    of_papers = {name for name, path in scripts().items() if path.parent.name == "papers"}
    assert set(suite.WORDS) == of_papers - {"suite"}


@pytest.mark.parametrize("scale", ["small", "documented"])
@pytest.mark.parametrize("name", suite.WORDS)
def test_a_script_takes_its_options(name: str, scale: suite.Scale) -> None:
    assert suite.command(ARGS, name)[2:6] == ["benchmarks", name, "--json", f"work/{name}.json"]
    kind = importlib.import_module(module_of(name)).BENCHMARK.args
    words = suite.command(suite.Args(folder="work", scale=scale, train="train.parquet", test="test.parquet"), name)
    found = parse(kind, words[words.index(name) + 1 :])
    assert isinstance(found, kind)
    assert found.json == f"work/{name}.json"


def test_finished_scripts_keep_their_seconds_and_add_up(tmp_path: Path) -> None:
    for name, seconds in (("table3", 90.0), ("lcepce", 30.0)):
        (tmp_path / f"{name}.seconds.json").write_text(json.dumps({"processor seconds": seconds, "wall seconds": 7.0}))
    *_, (title, rows) = suite.tables(suite.Args(folder=str(tmp_path), only=("table3", "lcepce")))
    assert title == "the suite at --scale small"
    assert rows[-1] == {
        "script": "all",
        "processor seconds": 120.0,
        "wall seconds": 14.0,
        "minutes on two cores": 1.0,
    }


@pytest.mark.process
def test_a_script_that_fails_ends_the_suite_by_its_name(tmp_path: Path) -> None:
    args = suite.Args(folder=str(tmp_path), train="nowhere.parquet", test="nowhere.parquet", only=("lcepce",))
    with pytest.raises(RayclusterError, match=r"lcepce ended with exit code 1; .*lcepce\.log holds what it printed\."):
        list(suite.tables(args))
    assert not (tmp_path / "lcepce.seconds.json").exists()
