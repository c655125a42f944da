"""The watcher: a line on what is pending, an end to waiting, and a head that is gone."""

from __future__ import annotations  # Ray is imported when a test runs: the fast tests do without it

import socket
from dataclasses import dataclass, field
from typing import Any

import pytest

from raycluster.config.execution import Execution
from raycluster.errors import RayclusterError
from raycluster.executors.sizing import Pool

POOL = Pool(4, 8, 1, 2**31)
NEED = "A worker needs 8 CPUs (0 of 2 free), 1 GPUs (0 of 0 free), 2 GiB of memory (1 of 3 free)."


@dataclass
class World:
    """Time, what the cluster has, what the board answers, and what was printed and wished for."""

    now: float = 0.0
    in_flight: list[tuple[int, str, float]] = field(default_factory=list)
    left: int = 10
    lines: list[str] = field(default_factory=list)
    wishes: list[Pool | None] = field(default_factory=list)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    import ray

    from raycluster.executors import reach

    world = World()
    monkeypatch.setattr(reach, "_is_lost", False)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0, "memory": 3.0 * 2**30})
    monkeypatch.setattr(ray, "available_resources", lambda: {"memory": 2.0**30})
    monkeypatch.setattr(ray, "get", lambda answer, timeout: answer)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    return world


class Answers:
    """A method of the board that answers at once."""

    def __init__(self, value: Any) -> None:
        self.remote = value


def watcher(world: World, **execution: Any) -> Any:
    from raycluster.executors.watcher import Watcher

    class Board:
        in_flight = Answers(lambda: world.in_flight)
        left = Answers(lambda: world.left)
        reported_rows = Answers(lambda: 7.0 * world.now)

    wish = world.wishes.append
    return Watcher("knn", POOL, Board(), Execution(**execution), world.lines.append, wish, lambda: world.now)


def test_nothing_is_printed_while_all_wanted_workers_are_at_work(world: World) -> None:
    watching = watcher(world)
    for world.now in range(0, 100, 5):
        world.in_flight = [(0, "10.0.0.2", 5.0)]
        assert watching.check() == (35.0 if world.now else 0.0)
    assert world.lines == []


def test_every_half_minute_a_line_names_what_is_pending_and_why(world: World) -> None:
    watching = watcher(world)
    for world.now in range(0, 70, 5):
        watching.check()
    assert world.lines == [
        f"knn: 0 of 1 workers at work for 30 s. {NEED}",
        f"knn: 0 of 1 workers at work for 60 s. {NEED}",
    ]
    world.in_flight, world.now = [(0, "10.0.0.2", 5.0)], 100.0
    watching = watcher(world, workers=4)
    world.now = 130.0
    watching.check()
    assert world.lines[-1] == f"knn: 1 of 4 workers at work. {NEED}"


def test_waiting_ends_with_a_sentence(world: World) -> None:
    watching = watcher(world, wait=2.0)
    world.now = 119.0
    watching.check()
    watching.progressed()
    world.now = 238.0
    watching.check()
    world.now = 239.0
    with pytest.raises(RayclusterError) as caught:
        watching.check()
    assert str(caught.value) == (
        f"No worker of stage knn was there for 2 minutes (--wait). {NEED} Run the same command again: what is done is kept."
    )


def test_machines_are_requested_at_the_start_repeated_and_released(world: World) -> None:
    watching = watcher(world)
    watching.begin()
    for world.now in (4.0, 6.0, 8.0):
        watching.check()
    watching.end()
    assert world.wishes == [POOL, POOL, None]


def test_a_head_that_takes_no_connection_is_gone(world: World) -> None:
    from raycluster.executors import gauges

    watching = watcher(world)
    with socket.create_server(("127.0.0.1", 0)) as server:
        watching._head = f"127.0.0.1:{server.getsockname()[1]}"
        world.now = 6.0
        assert watching.check() == 42.0
    world.now = 12.0
    assert watching.check() == 0
    assert world.lines == [f"knn: the head at {watching._head} does not answer since 6 s"]
    world.now = 50.0
    with pytest.raises(RayclusterError, match=r"is gone: no answer for 44 s in stage knn\. Run the same command again"):
        watching.check()
    assert watching.is_head_gone
    assert gauges.machines() == 1, "nobody is asked for the nodes any more"
    watching.end()
    assert None not in world.wishes, "a head that is gone takes no wish"
