"""Scratch: ours alone, kept while a process uses it, and freed after jobs that died."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raycluster.errors import StorageError
from raycluster.storage import scratch

HOLDER = """
import sys, time
from raycluster.storage import scratch
folder = scratch.hold(sys.argv[1], is_driver=sys.argv[2] == "driver")
open(folder + "/copy.npy", "wb").close()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Scratch of these tests."""
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path))
    return tmp_path


def holder(run: str, role: str) -> subprocess.Popen[bytes]:
    """A process that uses the copies of a run until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, run, role], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)


def test_the_folder_is_ours_alone() -> None:
    folder = Path(scratch.hold("run"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    assert stat.S_IMODE(Path(scratch.own_folder(str(folder))).stat().st_mode) == 0o700
    scratch.remove("run")
    assert [path.name for path in folder.parent.iterdir()] == []


def test_a_folder_of_another_user_is_refused(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (base / "theirs").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(StorageError, match="belongs to another user; point RAYCLUSTER_SCRATCH at a folder of your own"):
        scratch.own_folder(str(base / "theirs"))


def test_a_link_in_place_of_the_folder_is_refused(base: Path) -> None:
    (base / "real").mkdir()
    (base / "link").symlink_to(base / "real")
    with pytest.raises(StorageError, match="belongs to another user"):
        scratch.own_folder(str(base / "link"))


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/scratch"])
def test_a_place_that_cannot_be_used_is_named(base: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (base / "file").write_bytes(b"mine")
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(base / place))
    for use in (lambda: scratch.hold("run"), lambda: scratch.building("run", "copy").__enter__()):
        with pytest.raises(StorageError, match=r"The scratch folder .* cannot be used .*; point RAYCLUSTER_SCRATCH at"):
            use()
    assert (base / "file").read_bytes() == b"mine"


def test_copies_of_a_driver_that_was_killed_go_at_once() -> None:
    process = holder("dead", "driver")
    try:
        assert scratch.sweep() == []
        assert Path(scratch.folder("dead")).exists()
    finally:
        kill(process)
    assert scratch.sweep("dead") == [], "the run that starts takes its own copies up again"
    assert scratch.sweep() == ["dead"]
    assert list(Path(scratch.base()).iterdir()) == []


def test_copies_of_workers_stay_between_stages_and_go_when_they_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    kill(holder("dead", "worker"))
    assert scratch.sweep() == []
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + scratch.IDLE_SECONDS + 5)
    assert scratch.sweep() == ["dead"]


def test_a_process_does_not_sweep_what_it_uses_itself() -> None:
    scratch.hold("mine", is_driver=True)
    assert scratch.sweep() == []
    scratch.remove("mine")


BUILDER = "from raycluster.storage import scratch\nwith scratch.building('run', 'copy'): print('in')"


def test_one_process_builds_a_copy_at_a_time() -> None:
    with scratch.building("run", "copy"):
        child = subprocess.Popen([sys.executable, "-c", BUILDER], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=2)
    assert child.communicate(timeout=30)[0] == b"in\n"


def test_copies_stay_while_another_process_reads_them(base: Path) -> None:
    other = holder("run", "worker")
    try:
        folder = Path(scratch.hold("run"))
        scratch.leave("run")
        assert (folder / "copy.npy").exists()
    finally:
        kill(other)
    scratch.hold("run")
    scratch.leave("run")
    assert list(base.iterdir()) == []
    scratch.leave("run")  # nothing is held any more
