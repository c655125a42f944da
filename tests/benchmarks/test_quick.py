"""Every benchmark runs at its --quick scale, has help in one style, and writes where its result comes from."""

import ast
import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import listing, main, module_of, scripts
from benchmarks.measuring.script import Benchmark, run
from support.paths import ROOT

pytestmark = pytest.mark.process
OWN = ("golden_labels",)
"""Scripts with a command line and a test of their own."""
NAMES = [name for name in scripts() if name not in OWN]
SLOW = {"ablation": ("--tables", "2", "4")}
"""Options for benchmarks whose quick scale trains many models: the others are those of the tables that are left."""

LONG = (
    "ablation",
    "audit",
    "batches",
    "by_k",
    "ceilings",
    "compare",
    "end_to_end",
    "face_transformer",
    "figure5",
    "filters",
    "fuzz",
    "hard_figures",
    "health",
    "knn_approximate",
    "lcepce",
    "long_tails",
    "published_scale",
)
LONG += ("peers", "review_calibration", "review_queues", "table2", "table3")
"""Benchmarks whose quick scale still takes ten seconds or more; they run by hand."""
AT_QUICK_SCALE = [pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in NAMES]


def benchmark(name: str) -> Benchmark[Any]:
    found = importlib.import_module(module_of(name)).BENCHMARK
    assert isinstance(found, Benchmark)
    return found


@pytest.mark.parametrize("name", AT_QUICK_SCALE)
def test_it_runs_at_the_quick_scale_and_names_its_origin(name: str, tmp_path: Path) -> None:
    words = ["--quick", *SLOW.get(name, ()), "--json", str(tmp_path / "result.json")]
    tables = run(name, benchmark(name), words)
    result = json.loads((tmp_path / "result.json").read_text())
    assert list(result) == ["benchmark", "command", "date", "commit", "machine", "arguments", "tables"]
    assert result["command"] == f"python -m benchmarks {name} {' '.join(words)}"
    assert json.loads(json.dumps(tables)) == result["tables"]
    rows = [row for table in result["tables"].values() for row in table]
    assert rows
    assert not [row for row in rows if "failed" in row]


@pytest.mark.parametrize("name", NAMES)
def test_its_help_describes_every_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run(name, benchmark(name), ["--help"])
    assert end.value.code == 0
    told = capsys.readouterr().out
    assert f"benchmarks {name}" in told
    assert "--quick" in told
    assert "benchmarks/results/NAME.json" in told


@pytest.mark.parametrize(("name", "path"), scripts().items())
def test_its_docstring_names_its_command(name: str, path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    assert f"python -m benchmarks {name}" in docstring
    assert docstring.splitlines()[0] in listing()


def test_an_unknown_name_and_a_wrong_option_are_one_sentence_each(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"There is no benchmark 'jaccard'; python -m benchmarks lists them\."):
        main(["jaccard"])
    with pytest.raises(SystemExit, match="error: Unrecognized options: --row; did you mean --rows"):
        main(["metrics", "--row", "3"])
    main([])
    assert "kernels  metrics" in capsys.readouterr().out


def test_benchmarks_import_no_private_name_of_the_package() -> None:
    for path in (ROOT / "benchmarks").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("raycluster"):
                names = [*str(node.module).split("."), *(alias.name for alias in node.names)]
                assert not [name for name in names if name.startswith("_")], path
