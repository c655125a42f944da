"""How many workers a stage gets, and where its tasks run."""

import pytest

from raycluster.config.execution import Execution
from raycluster.executors.sizing import Fleet, Machine, Pool, pool, pool_for, uses_ray


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


GIB = 2**30
BIG, GPU, TWO = Machine(32, 0, 64 * GIB), Machine(8, 1, 32 * GIB), Machine(2, 0, 4 * GIB)


@pytest.mark.parametrize(
    ("shards", "keys", "fleet", "has_gpu", "expected"),
    [
        (100, {}, Fleet([BIG, BIG]), False, Pool(100, 1)),
        (8, {}, Fleet([BIG, BIG]), False, Pool(8, 8)),
        (100, {"workers": 2}, Fleet([BIG, BIG]), False, Pool(2, 32)),
        (100, {"workers": 16}, Fleet([], [BIG] * 16), False, Pool(16, 32)),
        (100, {"workers": 16}, Fleet([BIG], [BIG] * 16), False, Pool(16, 32)),
        (100, {"workers": 3}, Fleet([], [BIG] * 16), False, Pool(3, 32)),
        (100, {"workers": 16, "cpus_per_worker": 8}, Fleet([]), False, Pool(16, 8)),
        (100, {"workers": 4}, Fleet([]), False, Pool(4, 1)),
        (100, {}, Fleet([BIG, GPU]), True, Pool(100, 8, 1)),
        (100, {"workers": 4}, Fleet([BIG], [GPU] * 4), True, Pool(4, 8, 1)),
    ],
    ids=[
        "a worker per core",
        "few shards",
        "a worker per node",
        "sixteen machines to come",
        "fifteen machines to come",
        "three machines to come",
        "the user's size",
        "nothing describes the machines",
        "a worker per GPU",
        "GPUs to come",
    ],
)
def test_a_pool_fits_the_machines_that_are_there_or_may_come(
    shards: int, keys: dict[str, int], fleet: Fleet, has_gpu: bool, expected: Pool
) -> None:
    assert pool_for(shards, Execution(**keys), fleet, has_gpu) == expected


def test_fewer_workers_share_a_machine_whose_memory_is_short() -> None:
    need = dict.fromkeys(range(1, 33), 9.0 * GIB)
    assert pool_for(100, Execution(), Fleet([BIG]), False, need.__getitem__) == Pool(100, 4, 0, 9 * GIB)
    assert pool_for(100, Execution(cpus_per_worker=2), Fleet([BIG]), False, need.__getitem__) == Pool(
        100, 2, 0, 4 * GIB
    )


def test_a_need_beyond_every_machine_reserves_a_whole_one_rather_than_wait_for_ever() -> None:
    assert pool_for(9, Execution(), Fleet([TWO]), False, lambda threads: 99.0 * GIB) == Pool(9, 2, 0, 4 * GIB)
