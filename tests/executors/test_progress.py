"""What a person sees: bars on a terminal, otherwise few lines; and the seconds that are remembered."""

import io
import re
import sys
import time

import pytest

from raycluster.executors.progress import SECONDS_BETWEEN_LINES, Progress


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


def test_lines_come_at_most_every_ten_seconds(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with progress.stage("knn", 100, 0) as advance:
        for _ in range(99):
            clock.now += 1
            advance()
    said = lines(capsys)
    assert said[:2] == ["knn: 10 of 100 shards, 10 s", "knn: 20 of 100 shards, 20 s"]
    assert said[-1] == "knn: 100 of 100 shards, 99.0 s"
    assert len(said) == 10


def test_fast_shards_say_only_that_the_stage_is_done(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with progress.stage("knn", 50, 0) as advance:
        for _ in range(50):
            clock.now += 0.1
            advance()
    assert lines(capsys) == ["knn: 50 of 50 shards, 5.0 s"]


def test_the_ten_seconds_run_on_across_stages(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    for name in ("knn", "edges"):
        with progress.stage(name, 3, 0) as advance:
            for _ in range(3):
                clock.now += SECONDS_BETWEEN_LINES / 4
                advance()
    assert lines(capsys) == [
        "knn: 3 of 3 shards, 7.5 s",
        "edges: 1 of 3 shards, 2 s",
        "edges: 3 of 3 shards, 7.5 s",
    ]


def test_shards_done_before_are_counted(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress().stage("knn", 10, 7) as advance:
        clock.now += 11
        advance()
    assert lines(capsys) == ["knn: 8 of 10 shards, 11 s", "knn: 10 of 10 shards, 11.0 s"]


def test_seconds_are_kept_by_stage_and_add_up(clock: Clock) -> None:
    progress = Progress()
    for name, seconds in (("knn", 2.5), ("edges", 0.25), ("knn", 1.0)):
        with progress.stage(name, 1, 0) as advance:
            clock.now += seconds
            advance()
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


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_and_no_log_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    progress = Progress()
    with progress.stage("knn", 4, 1) as advance:
        for _ in range(3):
            advance()
    progress.say("[all] done")
    said = terminal.getvalue()
    assert "knn" in said
    assert "4/4" in said
    assert "[all] done" in said
    assert not re.search(r"\d of 4 shards", said)
    assert list(progress.seconds) == ["knn"]
