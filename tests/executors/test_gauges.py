"""Prometheus gauges exist where Ray runs, and cost nothing elsewhere."""

from __future__ import annotations  # Ray is imported when a test runs: the fast tests do without it

from typing import Any

import pytest

from raycluster.executors import gauges

VALUES = {
    "stage": "knn",
    "rows": 10,
    "rows_done": 4,
    "rows_per_second": 2.0,
    "seconds_left": None,
    "machine_hours": 0.1,
}


def test_without_ray_there_is_one_machine_and_no_gauge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "_gauges", {})
    monkeypatch.setattr(gauges, "_ray", lambda: None)
    gauges.show("run", VALUES)
    assert gauges.machines() == 1
    assert gauges._gauges == {}


def test_every_number_that_is_there_is_a_gauge_of_run_and_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    from ray.util import metrics

    found: dict[str, Any] = {}

    class Gauge:
        def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
            assert description
            assert tag_keys == ("run", "stage")
            self.name = name

        def set(self, value: float, tags: dict[str, str]) -> None:
            found[self.name] = (value, tags)

    monkeypatch.setattr(gauges, "_gauges", {})
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(metrics, "Gauge", Gauge)
    gauges.show("run", VALUES)
    tags = {"run": "run", "stage": "knn"}
    assert found == {
        "raycluster_rows": (10.0, tags), "raycluster_rows_done": (4.0, tags),
        "raycluster_rows_per_second": (2.0, tags), "raycluster_machine_hours": (0.1, tags),
    }  # fmt: skip
