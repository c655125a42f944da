"""What a person sees: one live line on a terminal, otherwise few lines; and the seconds that are remembered."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time

import pytest

from raycluster.executors import progress as progress_module
from raycluster.executors.progress import Progress
from support.paths import ROOT


class Clock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(time, "monotonic", moved)
    return moved


def lines(captured: pytest.CaptureFixture[str]) -> list[str]:
    """What went to stderr, without the time of day; nothing goes to stdout."""
    out, err = captured.readouterr()
    assert out == ""
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in err.splitlines())
    return [line[9:] for line in err.splitlines()]


def test_lines_come_every_ten_seconds_and_one_at_the_end(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress_module, "SECONDS_BETWEEN_LINES", 0.2)
    progress = Progress()
    progress.plan(["knn", "edges"])
    with progress.stage("knn", 1000, 0) as position:
        position.within(250)  # within one shard
        time.sleep(0.5)
        position.finish(1000)
    said = lines(capsys)
    assert said[0].startswith("stage 1 of 2, knn: 250 of 1,000 rows, ")
    assert len(said) >= 2
    assert re.fullmatch(r"stage 1 of 2, knn: 1,000 rows in \d+\.\d s", said[-1])
    assert len(said) <= 2 + progress.seconds["knn"] / 0.2


def test_a_stage_that_reports_nothing_still_shows_that_it_lives(monkeypatch, capsys) -> None:
    monkeypatch.setattr(progress_module, "SECONDS_BETWEEN_LINES", 0.1)
    progress = Progress()
    progress.plan(["knn", "communities"])
    with progress.timed("communities"):
        time.sleep(0.25)
    assert re.fullmatch(r"stage 2 of 2, communities: preparing, \d+ s so far", lines(capsys)[0])
    assert progress.seconds["communities"] >= 0.25


def test_fast_stages_say_only_that_they_are_done(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with progress.stage("knn", 50, 0) as position:
        clock.now += 5
        position.finish(50)
    assert lines(capsys) == ["knn: 50 rows in 5.0 s, 10 rows/s"]


def test_rows_done_before_are_counted(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress().stage("knn", 10, 7) as position:
        clock.now += 6
        position.finish(3)
    assert lines(capsys) == ["knn: 10 rows (7 of them before) in 6.0 s, 0 rows/s"]


def test_stages_done_before_take_one_line(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    for name, rows, before in (("ids", 10, 10), ("order", 0, 0), ("knn", 10, 10), ("edges", 10, 4)):
        with progress.stage(name, rows, before) as position:
            clock.now += 1
            position.finish(rows - before)
    assert lines(capsys) == ["done before: ids, knn", "edges: 10 rows (4 of them before) in 1.0 s, 6 rows/s"]


def test_seconds_are_kept_by_stage_and_add_up(clock: Clock) -> None:
    progress = Progress()
    for name, seconds in (("knn", 2.5), ("edges", 0.25), ("knn", 1.0)):
        with progress.stage(name, 1, 0) as position:
            clock.now += seconds
            position.finish(1)
    assert progress.seconds == {"knn": 3.5, "edges": 0.25}


def test_a_stage_that_fails_is_not_reported_as_done(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with pytest.raises(RuntimeError), progress.stage("knn", 2, 0):
        raise RuntimeError("broke")
    assert lines(capsys) == []
    assert progress.seconds == {}


def test_a_line_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    Progress().say("threshold 0.5, as given")
    assert lines(capsys) == ["threshold 0.5, as given"]


def on_a_terminal(script: str) -> str:
    """Run a script whose stderr is a terminal; return what the terminal got."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 140, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=theirs, cwd=ROOT)
    os.close(theirs)
    got = b""
    with contextlib.suppress(OSError):  # the terminal ends with its last writer
        while data := os.read(ours, 4096):
            got += data
    os.close(ours)
    assert process.wait() == 0
    return got.decode()


def test_a_terminal_gets_one_live_line_that_moves() -> None:
    said = on_a_terminal(
        "import time\n"
        "from raycluster.executors.progress import Progress\n"
        "progress = Progress()\n"
        "progress.plan(['knn', 'edges'])\n"
        "with progress.stage('knn', 400, 0) as position:\n"
        "    for _ in range(4):\n"
        "        position.within(100)\n"
        "        time.sleep(0.4)\n"
        "    progress.say('[all] done')\n"
        "    position.finish(400)\n"
    )
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    for rows in (100, 200, 300, 400):
        assert f"stage 1 of 2, knn: {rows} of 400 rows" in plain
    assert re.search(r"\d+ rows/s, \d s left", plain)
    assert "[all] done" in plain
    assert plain.rstrip().splitlines()[-1].strip().startswith("stage 1 of 2, knn: 400 rows in ")
    assert "\x1b[2K" in said  # the line is erased and drawn again
