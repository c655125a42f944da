"""Seconds of stages, with those of node-local copies apart."""

from pathlib import Path

import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.executors import progress
from raycluster.pipeline.run import LOCAL, opened, run_stages
from raycluster.pipeline.timing import StageTimes, TimedTables
from raycluster.stages import wanted_stages


def test_time_in_copies_counts_towards_no_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    times = StageTimes()
    with times.timed("knn"):
        now[0] += 5.0
        times.copy_seconds += 3.0
    with times.stage("knn", 2, 0) as position:
        now[0] += 30.0
        times.copy_seconds += 1.0
        position.finish(2)
    assert (times.once, times.seconds, times.copy_seconds) == ({"knn": 2.0}, {"knn": 29.0}, 4.0)


def test_every_stage_is_timed_and_every_copy_counted_once(identities: str, tmp_path: Path) -> None:
    config, times = load_config("cosine", {"knn": {"k": 20}}, "test"), StageTimes()
    with opened(identities, str(tmp_path / "run"), config, Execution("local"), times) as tables:
        run_stages(TimedTables(tables, times), LOCAL, times)
        names = [stage.name for stage in wanted_stages(tables.config)]
        assert list(times.once) == names
        assert set(times.seconds) == set(names)
        every, rows, width = tables.bounds_of_all[-1], tables.rows, tables.width
    vectors = (every + rows) * width * 4
    assert times.copied_bytes == vectors + 2 * rows * 20 * 4, "vectors of all and of distinct rows, the kNN table"
    assert times.copy_seconds > 0
