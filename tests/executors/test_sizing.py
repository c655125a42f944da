"""How many workers a stage gets, and where its tasks run."""

import pytest

from raycluster.config.execution import Execution
from raycluster.executors.sizing import pool, uses_ray


@pytest.mark.parametrize(
    ("shards", "workers", "nodes", "room", "smallest", "expected"),
    [
        (100, None, 4, 128, 32, (100, 1)),
        (8, None, 4, 128, 32, (8, 16)),
        (100, 4, 4, 128, 32, (4, 32)),
        (100, None, 16, 16, 16, (16, 16)),
        (3, None, 0, 0, 1, (3, 1)),
    ],
    ids=["a worker a core", "few shards", "a worker a node", "a worker a GPU", "no node yet"],
)
def test_workers_fill_the_nodes_and_share_their_cores(
    shards: int, workers: int | None, nodes: int, room: int, smallest: int, expected: tuple[int, int]
) -> None:
    assert pool(shards, workers, nodes, room, smallest) == expected


def test_one_shard_runs_here_and_more_on_ray_unless_a_cluster_or_the_user_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert [uses_ray(shards, Execution()) for shards in (1, 2)] == [False, True]
    assert [uses_ray(2, Execution(name)) for name in ("local", "ray")] == [False, True]
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert uses_ray(1, Execution())
    assert not uses_ray(1, Execution("local"))
