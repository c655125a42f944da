"""A local disk: a name is taken once, with hard links or without, and a folder is listed whole or not at all."""

import errno
import os
import threading
from pathlib import Path

import pytest

from raycluster.storage import local_disk
from raycluster.storage.local_disk import files_below, link_once


@pytest.fixture(params=["hard links", "none"])
def disk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a file system with hard links, or with what exFAT and SMB answer."""
    if request.param == "none":

        def refuse(*_: object) -> None:
            raise OSError(errno.EOPNOTSUPP, "not supported")

        monkeypatch.setattr(os, "link", refuse)
    return tmp_path


def written(folder: Path, name: str) -> str:
    (folder / name).write_text(name)
    return str(folder / name)


def test_the_first_takes_the_name_and_the_second_changes_nothing(disk: Path) -> None:
    target = disk / "done.json"
    assert link_once(written(disk, "first"), str(target))
    assert not link_once(written(disk, "second"), str(target))
    assert target.read_text() == "first"


def test_a_race_has_one_winner(disk: Path) -> None:
    target, barrier, won = disk / "done.json", threading.Barrier(8), []

    def race(number: int) -> None:
        temporary = written(disk, f"writer {number}")
        barrier.wait()
        if link_once(temporary, str(target)):
            won.append(f"writer {number}")

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert target.read_text() == won[0]


def test_a_claim_that_a_dead_process_left_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_disk, "CLAIM_SECONDS", 0.1)

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "done.json"
    target.touch()
    assert link_once(written(tmp_path, "late"), str(target))
    assert target.read_text() == "late"


def test_a_disk_that_is_full_is_no_disk_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="full"):
        link_once(written(tmp_path, "one"), str(tmp_path / "done.json"))
    assert not (tmp_path / "done.json").exists()


def test_files_are_listed_below_any_depth_in_order(tmp_path: Path) -> None:
    for name in ("b/2.json", "b/c/1.json", "a.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files_below(str(tmp_path), "") == ["a.json", "b/2.json", "b/c/1.json"]
    assert files_below(str(tmp_path), "b") == ["b/2.json", "b/c/1.json"]
    assert files_below(str(tmp_path), "none") == []
    assert files_below(str(tmp_path), "a.json") == []


def test_a_folder_that_cannot_be_read_is_an_error_and_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: str = ".") -> object:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        files_below(str(tmp_path), "")


def test_a_link_back_up_is_not_followed_and_another_one_is(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.parquet").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.parquet").touch()
    (tmp_path / "in" / "again").symlink_to(".")
    (tmp_path / "in" / "other").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "gone.parquet").symlink_to("nowhere")
    assert files_below(str(tmp_path / "in"), "") == ["a.parquet", "gone.parquet", "other/b.parquet"]


def test_a_pipe_is_an_error_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.parquet")
    with pytest.raises(OSError, match="a pipe, a socket or a device"):
        files_below(str(tmp_path), "")
