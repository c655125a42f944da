"""What is missing or damaged is computed again, together where much is gone, and not for ever."""

from pathlib import Path

import pytest

from raycluster.config.execution import Execution
from raycluster.errors import DamagedError, StorageError
from raycluster.pipeline import plan, run
from raycluster.pipeline.repair import MOST_REPAIRS, drop_missing, repaired
from raycluster.pipeline.results import Results
from raycluster.storage.object_store import Store
from support.both_tables import CONFIG, stored_tables


def test_work_is_done_again_until_nothing_is_damaged(tmp_path: Path) -> None:
    folder, lines, damaged = stored_tables(tmp_path).folder, list[str](), ["a is missing.", "b was changed or damaged."]

    def work() -> int:
        if damaged:
            raise DamagedError(damaged.pop(0))
        return 7

    assert repaired(work, folder, lines.append) == 7
    assert lines == ["a is missing: it is computed again", "b was changed or damaged: it is computed again"]


def test_damage_without_end_is_an_error(tmp_path: Path) -> None:
    folder, lines = stored_tables(tmp_path).folder, list[str]()

    def work() -> None:
        raise DamagedError("a is missing.")

    with pytest.raises(StorageError, match="check the disk"):
        repaired(work, folder, lines.append)
    assert len(lines) == MOST_REPAIRS


def test_parts_that_are_gone_are_dropped_together(tmp_path: Path) -> None:
    folder = stored_tables(tmp_path).folder
    for task in (0, 2):
        folder.store.delete(folder.marker("knn", task).key)
    drop_missing(folder)
    assert folder.finished("knn") == {1}
    assert folder.finished("embeddings") == {0, 1, 2}


def test_a_run_that_another_client_published_meanwhile_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored_tables(tmp_path)
    start = (str(tmp_path / "rows.parquet"), str(tmp_path / "meanwhile"), CONFIG, Execution("local", shards=3))
    require_unused = plan.require_unused

    def late(store: Store) -> None:
        monkeypatch.setattr(plan, "require_unused", require_unused)
        run.cluster(*start)
        require_unused(store)

    monkeypatch.setattr(plan, "require_unused", late)
    summary = run.cluster(*start)
    assert summary == Results.of(start[1]).manifest["summary"]
