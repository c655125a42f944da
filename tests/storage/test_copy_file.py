"""A copy is used in the state in which it was finished, and in no other."""

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raycluster.storage.copy_file import build, opened

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)


def fill(target: Any) -> None:
    target[:] = VALUES


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A finished copy."""
    built = str(tmp_path / "copy.npy")
    build(built, "origin", VALUES.shape, VALUES.dtype, fill)
    return built


def test_a_copy_opens_as_it_was_filled_and_cannot_be_written_to(path: str) -> None:
    copy = opened(path, "origin")
    assert copy is not None
    np.testing.assert_array_equal(copy.array, VALUES)
    np.testing.assert_array_equal(np.load(path), VALUES)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o400
    with pytest.raises(ValueError, match="read-only"):
        copy.array[0] = 0


def test_a_copy_of_other_parts_is_none(path: str) -> None:
    assert opened(path, "other") is None


def test_a_copy_that_was_not_finished_is_none(tmp_path: Path) -> None:
    def broken(target: Any) -> None:
        target[:2] = 1
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        build(str(tmp_path / "copy.npy"), "origin", VALUES.shape, VALUES.dtype, broken)
    assert list(tmp_path.iterdir()) == []
    assert opened(str(tmp_path / "copy.npy"), "origin") is None


def test_an_open_copy_notices_that_it_was_written_to(path: str) -> None:
    copy = opened(path, "origin")
    assert copy is not None
    assert copy.is_current()
    Path(path).chmod(0o600)
    with open(path, "r+b") as file:
        file.write(b"x")
    assert not copy.is_current()
    assert opened(path, "origin") is None
    Path(path).unlink()
    assert copy.is_current(), "nobody can write to a file without a name"


def test_a_copy_of_before_a_restart_is_none(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycluster.storage.copy_file._boot", lambda: "another start")
    assert opened(path, "origin") is None
