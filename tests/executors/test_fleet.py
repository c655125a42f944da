"""The machines of a cluster: live ones, and those that an autoscaler may start."""

from __future__ import annotations  # Ray is imported when a test runs: the fast tests do without it

from types import SimpleNamespace
from typing import Any

import pytest

from raycluster.executors.sizing import Fleet, Machine, Pool

pytestmark = pytest.mark.process  # importing what they test imports Ray, which starts a process


def node(cpu: int, gpu: int = 0, alive: bool = True) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"CPU": cpu, "memory": 8.0} | ({"GPU": gpu} if gpu else {})}


def test_heads_without_processors_and_dead_nodes_are_no_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    from raycluster.executors import fleet

    monkeypatch.setattr(fleet, "connect", lambda: None)
    monkeypatch.setattr(fleet, "_node_kinds", list)
    monkeypatch.setattr(ray, "nodes", lambda: [node(0), node(8, gpu=1), node(4), node(2, alive=False)])
    assert fleet.fleet() == Fleet([Machine(8, 1, 8.0), Machine(4, 0, 8.0)], [])


def test_kinds_of_an_autoscaler_count_as_often_as_they_may_start(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    from raycluster.executors import fleet

    kinds = [
        SimpleNamespace(resources={"CPU": 0}, max_count=1),
        SimpleNamespace(resources={"CPU": 32, "GPU": 1}, max_count=3),
    ]
    monkeypatch.setattr(fleet, "connect", lambda: None)
    monkeypatch.setattr(fleet, "_node_kinds", lambda: kinds)
    monkeypatch.setattr(ray, "nodes", list)
    assert fleet.fleet() == Fleet([], [Machine(32, 1)] * 3)
    kinds[1].max_count = -1
    assert len(fleet.fleet().startable) == fleet.MOST_OF_A_KIND


def test_a_wish_has_a_bundle_for_every_worker_and_is_released_by_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from raycluster.executors import fleet

    wishes: list[Any] = []
    monkeypatch.setattr(fleet, "request_resources", lambda bundles: wishes.append(bundles))
    fleet.wish_for(Pool(3, 8, 1, 1024))
    fleet.wish_for(None)
    assert wishes == [[{"CPU": 8, "GPU": 1, "memory": 1024}] * 3, []]
