"""What is missing or damaged is computed again, together where much is gone, and not for ever."""

from pathlib import Path

import pytest

from raycluster.errors import DamagedError, StorageError
from raycluster.pipeline.repair import MOST_REPAIRS, drop_missing, repaired
from support.both_tables import stored_tables


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
