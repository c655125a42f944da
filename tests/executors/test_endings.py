"""Signals that end a job, and those whose interruption is lost."""

from pathlib import Path

import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.executors import endings
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import LOCAL, opened, run_stages


def lose() -> None:
    with pytest.raises(KeyboardInterrupt):
        endings.end()


def test_a_lost_signal_is_raised_at_the_next_check_until_it_is_answered() -> None:
    endings.check()
    lose()
    with pytest.raises(KeyboardInterrupt):
        endings.check()
    endings.forget()
    endings.check()


def test_stages_stop_after_a_lost_signal_and_go_on_from_there(identities: str, tmp_path: Path) -> None:
    config, progress = load_config("cosine", {"knn": {"k": 20}}, "test"), Silence()
    with opened(identities, str(tmp_path / "run"), config, Execution("local"), progress) as tables:
        lose()
        with pytest.raises(KeyboardInterrupt):
            run_stages(tables, LOCAL, progress)
        assert not tables.has_facts("knn")
        endings.forget()
        run_stages(tables, LOCAL, progress)
        assert tables.has_facts("labels") or tables.finished("labels")
