"""Streams that are closed, devices in place of files, and a working folder that is gone."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.errors import ConfigError, StorageError
from raycluster.storage.streams import require_working_folder, write_text
from support.paths import ROOT

SCRIPT = (
    "import os, sys; from raycluster.storage.streams import open_closed_streams; open_closed_streams(); "
    "print('out'); print('err', file=sys.stderr); number = os.open(os.devnull, os.O_RDONLY); "
    "os._exit(10 * (number > 2) + (sys.stdin.read() == ''))"
)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_lead_nowhere_and_their_numbers_are_taken(closed: tuple[int, ...]) -> None:
    redirects = " ".join(f"{number}>&-" for number in closed)
    done = subprocess.run(
        ["bash", "-c", f'exec {sys.executable} -c "$0" {redirects}', SCRIPT],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 11
    assert (done.stdout, done.stderr) == ("" if 1 in closed else "out\n", "" if 2 in closed else "err\n")


def test_a_removed_working_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    require_working_folder()
    (tmp_path / "gone").rmdir()
    with pytest.raises(ConfigError, match="working folder of this command was removed"):
        require_working_folder()
    os.chdir(tmp_path)


def test_a_link_and_a_pipe_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    write_text(str(tmp_path / "link.json"), "new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text() == "new"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(str(pipe), "through")
    reader.join(10)
    assert read == ["through"]
    assert pipe.is_fifo()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has this device")
def test_a_full_device_is_one_sentence_and_stays(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")  # were it replaced, it would be the link
    with pytest.raises(StorageError, match="The disk is full"):
        write_text(str(tmp_path / "full"), "text")
    assert (tmp_path / "full").is_char_device()


def of_bash(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, with the command `raycluster`; a pipe fails with any of its commands."""
    script = f'set -o pipefail; raycluster() {{ {sys.executable} -m raycluster "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has this device")
def test_an_answer_that_cannot_be_printed_is_one_sentence() -> None:
    done = of_bash("raycluster recipes list >/dev/full")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: The work is done, but its answer could not be printed: No space left")
    assert len(done.stderr.splitlines()) == 1


def test_a_run_whose_messages_have_no_reader_is_no_success(tmp_path: Path) -> None:
    vectors = [[1.0, float(number % 4)] for number in range(40)]
    pq.write_table(pa.table({"id": list(range(40)), "embedding": vectors}), tmp_path / "in.parquet")
    words = f"cluster {tmp_path}/in.parquet -o {tmp_path}/run --recipe cosine --limit 0.99 --executor local --no-report"
    done = of_bash(f"raycluster {words} 2>&1 >/dev/null | true")
    is_finished = (tmp_path / "run" / "MANIFEST.json").exists()
    assert (done.returncode == 0) == is_finished
    assert of_bash(f"raycluster {words}").returncode == 0
    assert (tmp_path / "run" / "MANIFEST.json").exists()
