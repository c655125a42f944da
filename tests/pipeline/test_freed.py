"""Copies go with their last reader, and all of them at the end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.pipeline.freed import free_all, free_read, free_unread
from raycluster.pipeline.run import cluster
from raycluster.stages import stage_named
from raycluster.storage import node_cache
from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from support.both_tables import array_tables, stored_tables

LOCAL = Execution("local")


def copies(folder: Path) -> set[str]:
    """Columns that a node holds copies of."""
    return {path.name.split("-", 1)[1] for path in folder.glob("*.npy")}


def test_copies_that_no_stage_reads_go_and_the_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path / "scratch"))
    tables = stored_tables(tmp_path)
    folder = Path(node_cache.folder(tables.folder))
    tables.column("knn", "neighbor")
    tables.column("embeddings", "row")
    tables.column("ingest", "embedding", "float32")
    free_unread(tables, stage_named("knn"), [stage_named("edges")])
    assert copies(folder) == {"knn-neighbor-None.npy", "ingest-embedding-float32-3.npy"}
    free_read(tables, [stage_named("edges")], LOCAL)
    assert copies(folder) == {"knn-neighbor-None.npy"}, "edges of a configured threshold follow from the lists"
    assert len(tables.column("embeddings", "row")) == tables.rows, "a copy that is gone is made again"
    free_all(tables.folder, LOCAL)
    assert not folder.exists()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["auto", "cosine"])
def test_a_local_run_holds_two_thirds_of_all_copies_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    """Version 0.1 held vectors, neighbors, similarities and scores at once."""
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path / "scratch"))
    rows, width, k = 500, 128, 80
    write_parquet(SyntheticConfig(rows=rows, width=width, mean_size=10, max_size=60), str(tmp_path / "rows"))
    sizes, build = [0], node_cache._copy

    def watched(*words: Any) -> Any:
        made = build(*words)
        sizes.append(sum(path.stat().st_size for path in (tmp_path / "scratch").rglob("*.npy")))
        return made

    monkeypatch.setattr(node_cache, "_copy", watched)
    keys = {"knn": {"k": k}, "embeddings": {"duplicates": "keep"}}
    cluster(str(tmp_path / "rows"), str(tmp_path / "run"), load_config(recipe, keys, "test"), replace(LOCAL, shards=3))
    before = 4 * rows * (width + (3 if recipe == "auto" else 2) * k)
    print(f"{recipe}: {max(sizes) / before:.0%} of what version 0.1 held")
    assert 0.3 * before < max(sizes) <= before * 2 / 3
    assert [path for path in (tmp_path / "scratch").rglob("*") if path.is_file()] == []


def test_arrays_have_nothing_to_free() -> None:
    tables = array_tables()
    free_read(tables, [], LOCAL)
    assert len(tables.column("knn", "neighbor")) == tables.rows
