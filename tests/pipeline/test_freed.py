"""Copies go with their last reader, and all of them at the end."""

from pathlib import Path

import pytest

from raycluster.config.execution import Execution
from raycluster.pipeline.freed import free_all, free_read
from raycluster.stages import stage_named
from raycluster.storage import node_cache
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
    free_read(tables, [stage_named("edges")], LOCAL)
    assert copies(folder) == {"knn-neighbor-None.npy"}
    assert len(tables.column("embeddings", "row")) == tables.rows, "a copy that is gone is made again"
    free_all(tables.folder, LOCAL)
    assert not folder.exists()


def test_arrays_have_nothing_to_free() -> None:
    tables = array_tables()
    free_read(tables, [], LOCAL)
    assert len(tables.column("knn", "neighbor")) == tables.rows
