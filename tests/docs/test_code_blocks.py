"""Every code block of README and docs runs, is checked, or is marked as output; see CONTRIBUTING.md.

bash, python   run from top to bottom of a page, in a folder with small generated sets
sh             the options of `raycluster` in it are checked
text, yaml     output, or a file
"""

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.command_line import parse
from raycluster.commands import load
from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from raycluster.synthetic.settings import PRESETS
from support.command_line import call
from support.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MARKS = {"bash", "python", "sh", "text", "yaml"}
ROWS = 300
"""Rows of the sets that pages read: enough for identities of several sizes, and a second per run of `auto`."""
DEMO_ROWS = 600
"""Rows of `raycluster demo` here, in place of the 5,000 that a reader gets."""


@dataclass(frozen=True)
class Block:
    """A fenced code block."""

    line: int
    mark: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    text = page.read_text()
    for match in re.finditer(r"^```(\S*)[^\n]*\n(.*?)^```$", text, re.M | re.S):
        yield Block(text.count("\n", 0, match.start()) + 1, match[1], match[2])


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the commands of a shell block as words, without comments."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def names(pages: list[Path], *marks: str) -> list[Path]:
    """Return the pages that have blocks of a mark."""
    return [page for page in pages if any(block.mark in marks for block in blocks(page))]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the sets that pages name: photos, products, rows with labels, the truth."""
    write_parquet(SyntheticConfig(**{**PRESETS["demo"], "rows": ROWS, "width": 64}), str(tmp_path / "generated"))
    table = pq.read_table(tmp_path / "generated")
    names = [f"{number}.jpg" for number in table["id"].to_pylist()]
    for name in names:
        (tmp_path / name).write_text(name)
    unlabelled = table.select(["id", "embedding"])
    photos = unlabelled.append_column("file", pa.array(names))
    pq.write_table(photos, tmp_path / "photos.parquet")
    pq.write_table(photos, tmp_path / "offers.parquet")
    later = pa.array(np.asarray(table["id"]) + 10**6)
    pq.write_table(photos.set_column(0, "id", later).slice(0, 40), tmp_path / "new-photos.parquet")
    pq.write_table(table, tmp_path / "training.parquet")
    pq.write_table(table, tmp_path / "labelled.parquet")
    pq.write_table(table.select(["id", "label"]), tmp_path / "truth.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_shell(block: Block, where: str) -> None:
    """Run the commands of a block: those of raycluster in this process, which saves the imports, others in a shell."""
    for words in commands(block):
        *words, allowed = [*words[:-2], True] if words[-2:] == ["||", "true"] else [*words, False]
        if words[0] != "raycluster":
            subprocess.run(words, check=True, timeout=60)
            continue
        demo = ["--rows", str(DEMO_ROWS)] if words[1] == "demo" and "--rows" not in words else []
        output = words[words.index("-o") + 1] if words[1] == "export" else None
        if output and Path(output).is_file():
            Path(output).unlink()  # pages name a file twice, a reader runs the one that fits
        quick = ["--no-report"] if words[1] == "cluster" and not where.startswith("report.md") else []
        outcome = call(words[1], *words[2:], *demo, *quick)
        assert outcome.code == 0 or allowed, f"{where}: {shlex.join(words)}\n{outcome.stderr}"


def test_every_block_has_a_mark() -> None:
    unmarked = [f"{page.name}:{block.line}" for page in PAGES for block in blocks(page) if block.mark not in MARKS]
    assert unmarked == []


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", names(PAGES, "bash", "python"), ids=lambda page: page.stem)
def test_blocks_run(page: Path) -> None:
    scope: dict[str, Any] = {}
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.mark == "python":
            exec(compile("\n" * block.line + block.text, str(page), "exec"), scope)
        elif block.mark == "bash":
            run_shell(block, where)


@pytest.mark.parametrize("page", names(PAGES, "sh"), ids=lambda page: page.stem)
def test_options_exist(page: Path) -> None:
    for block in blocks(page):
        for words in commands(block) if block.mark == "sh" else ():
            if words[0] == "raycluster":
                parse(load(words[1]), words[2:], f"{page.name}:{block.line}")
            elif "jobs/cluster.py" in words:
                parse(load("cluster"), words[words.index("jobs/cluster.py") + 1 :], f"{page.name}:{block.line}")
