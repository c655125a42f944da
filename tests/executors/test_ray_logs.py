"""Ray's logs of a failed stage are kept in the run folder."""

from __future__ import annotations  # Ray is imported when a test runs: the fast tests do without it

from pathlib import Path

import pytest

pytestmark = pytest.mark.process  # importing what they test imports Ray, which starts a process


def test_only_ends_of_files_that_hold_something_are_kept(tmp_path: Path) -> None:
    from raycluster.executors.ray_logs import TAIL_BYTES, tails

    (tmp_path / "raylet.out").write_bytes(b"a" * TAIL_BYTES + b"the reason")
    (tmp_path / "raylet.err").touch()
    (tmp_path / "dashboard.log").write_text("not ours")
    (tmp_path / "worker-1.err").write_text("Traceback")
    found = tails(tmp_path)
    assert found.keys() == {"raylet.out", "worker-1.err"}
    assert len(found["raylet.out"]) == TAIL_BYTES
    assert found["raylet.out"].endswith(b"the reason")


def test_logs_of_this_machine_lie_in_the_run_folder(tmp_path: Path) -> None:
    from raycluster.executors.connection import connect
    from raycluster.executors.ray_logs import keep_logs
    from raycluster.storage.object_store import Store

    connect()
    kept = keep_logs(Store(str(tmp_path)))
    names = [path.name for path in tmp_path.glob("logs/*/*")]
    assert kept == len(names)
    assert any(name.startswith("raylet.") for name in names)
