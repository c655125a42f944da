"""Whoever would call Ray on the way out asks first whether the head is gone."""

import pytest
import ray

from raycluster.executors import gauges, node_copies, reach


def test_nobody_is_asked_once_the_head_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call to Ray would block until Ray ends the process, and the sentence about the head would never be printed."""

    def blocks() -> list[object]:
        raise AssertionError("a lost cluster was asked")

    monkeypatch.setattr(reach, "_is_lost", False)
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(node_copies, "live_nodes", blocks)
    reach.give_up()
    assert node_copies.free_copies("run") == 0
    assert gauges.machines() == 1
