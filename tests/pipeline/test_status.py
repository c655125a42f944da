"""progress.json: written while a stage runs, and never a reason to end a run."""

import json
from pathlib import Path

import pytest

from raycluster.errors import StorageError
from raycluster.executors import gauges
from raycluster.executors.position import Position
from raycluster.pipeline.status import FILE, Status
from raycluster.storage.object_store import Store
from raycluster.storage.records import encode


def test_a_stage_is_written_at_its_start_and_its_end(tmp_path: Path) -> None:
    status = Status(Store(str(tmp_path)))
    position = Position("knn", 1000, 200)
    with status.of_stage(position):
        position.finish(300)
    found = json.loads((tmp_path / FILE).read_bytes())
    assert (found["stage"], found["rows"], found["rows_done"]) == ("knn", 1000, 500)
    assert found["written"].endswith("Z")


def test_speed_and_seconds_left_are_of_this_start_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "machines", lambda: 3)
    status = Status(Store(str(tmp_path)))
    began = status._counted
    position = Position("knn", 1000, 200, began, later=60.0)
    position.finish(300)
    found = status.values(position, began + 10.0)
    assert found["rows_per_second"] == 30.0
    assert found["seconds_left"] == pytest.approx(16.7)
    assert found["seconds_left_of_run"] == pytest.approx(76.7)
    assert found["machine_hours"] == pytest.approx(30 / 3600, abs=1e-4)
    assert found["usd"] is None, "no machine has a price"


def test_cost_so_far_is_that_of_the_machines_that_have_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauges, "machines", lambda: 3)
    monkeypatch.setenv("RAYCLUSTER_MACHINE", "r6id.8xlarge")
    status = Status(Store(str(tmp_path)))
    began, position = status._counted, Position("knn", 1000)
    assert status.values(position, began + 1800.0)["usd"] is None, "no worker has reported its machine"
    status.learn("")
    status.learn(encode({"key": "k", "facts": {"node": "10.0.0.1", "machine": "m6id.8xlarge"}}).decode())
    assert status.values(position, began + 3600.0)["usd"] == pytest.approx(2.4192 + 2 * 1.8984, abs=1e-3)


def test_storage_that_fails_does_not_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path))

    def refuse(*_: object) -> None:
        raise StorageError("The disk is full.")

    monkeypatch.setattr(store, "put", refuse)
    with Status(store).of_stage(Position("knn", 10)):
        pass
    assert not (tmp_path / FILE).exists()
