"""What the site fills in while it is built."""

import importlib.util
from types import ModuleType

import pytest

from raycluster.commands import VERBS
from raycluster.config.load import recipe_names
from support.paths import ROOT


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """The hooks of mkdocs."""
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "_build" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_verb_has_a_section_with_its_help(hooks: ModuleType) -> None:
    page = hooks.on_page_markdown("<!-- verbs -->")
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == list(VERBS)
    assert page.count("usage: raycluster ") == len(VERBS)
    assert "--edges.eta  float" in page


def test_every_recipe_has_a_row(hooks: ModuleType) -> None:
    page = hooks.on_page_markdown("before\n\n<!-- recipes -->\n")
    rows = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert rows == set(recipe_names())


def test_a_result_is_a_table_with_date_machine_and_command(hooks: ModuleType) -> None:
    result = {
        "benchmark": "nep",
        "command": "python -m benchmarks nep",
        "date": "2026-11-28T15:00:00+00:00",
        "commit": "0a1b",
        "machine": {"processor": "AMD EPYC", "cores": 2, "load": 0.5},
        "tables": {"rows": [{"n": 10, "s": 0.123456}, {"n": 20, "peer": None}]},
    }
    section = hooks.section_of(result)
    assert "2026-11-28, AMD EPYC, 2 cores, load 0.5, commit `0a1b`: `python -m benchmarks nep`" in section
    assert section.endswith("| n | s | peer |\n|---|---|---|\n| 10 | 0.1235 |  |\n| 20 |  |  |")
    assert hooks.section_of({"sets": {}}) == ""


def test_results_of_the_papers_are_on_their_page_alone(hooks: ModuleType) -> None:
    page = hooks.on_page_markdown((ROOT / "docs" / "papers.md").read_text())
    assert "### table3" in page
    assert "<!-- result: " not in page
    protocols = hooks.on_page_markdown((ROOT / "docs" / "papers" / "protocols.md").read_text())
    assert "| Diff-Cluster (S1) | 95.46 / 94.14 |" in protocols
    rest = hooks.on_page_markdown("<!-- results -->")
    assert "### table3" not in rest
    assert "### quoted" not in rest


def test_links_of_a_repository_file_lead_from_docs(hooks: ModuleType) -> None:
    page = hooks.on_page_markdown("<!-- file: CONTRIBUTING.md -->")
    assert "](architecture.md)" in page
    assert "](docs/" not in page
