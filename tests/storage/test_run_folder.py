"""A run folder: who may claim a task, what is committed and read, and what is missing."""

import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raycluster.config.load import load_config
from raycluster.config.stages import Config
from raycluster.errors import DamagedError, RayclusterError, StorageError
from raycluster.storage.object_store import Store
from raycluster.storage.records import LAYOUT, InputFile, Marker, Plan, PlannedInput, encode
from raycluster.storage.run_folder import MAX_ATTEMPTS, RunFolder

SCHEMA = pa.schema([("row", pa.int32())])


def folders(*_: Any) -> dict[str, str]:
    """The folder of the one stage of these tests."""
    return {"embeddings": "stages/embeddings/0"}


def plan(config: Config | None = None) -> Plan:
    """A plan of an input of one file."""
    planned = PlannedInput("in", [InputFile("a.parquet", 1, "1")], "int64", 2, 9)
    return Plan(LAYOUT, "0", asdict(config or Config()), planned, [], 2)


def new_run(path: Path) -> RunFolder:
    run = RunFolder(str(path), folders, plan())
    run.store.create("plan.json", encode(run.plan))
    return run


def commit(run: RunFolder, task: int, *blocks: list[int], facts: dict[str, Any] | None = None) -> Marker:
    """Commit a table of these row numbers, a block each."""
    return run.commit("embeddings", task, [{"row": rows} for rows in blocks], facts or {}, SCHEMA)


def test_a_folder_without_a_plan_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        RunFolder(str(tmp_path / "empty"), folders)
    assert str(caught.value) == f"{tmp_path}/empty holds no plan.json: no run was started there."


def test_a_run_opened_again_has_the_configuration_it_was_started_with(tmp_path: Path) -> None:
    config = load_config("fc-es", {"knn": {"k": 9}}, "my.yaml")
    Store(str(tmp_path)).put("plan.json", encode(plan(config)))
    assert RunFolder(str(tmp_path), folders).config == config


def test_a_committed_shard_is_done_and_reads_back_in_another_process(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    assert run.finished("embeddings") == set()
    commit(run, 1, [7, 8], [9], facts={"links": 3})
    other = RunFolder(str(tmp_path), folders)
    assert other.finished("embeddings") == {1}
    assert other.marker("embeddings", 1).facts["links"] == 3
    assert other.marker("embeddings", 1).rows == 3
    assert other.table("embeddings", 1)["row"].to_pylist() == [7, 8, 9]


def test_of_two_that_commit_one_shard_the_second_takes_its_part_away(tmp_path: Path) -> None:
    first, second = new_run(tmp_path), new_run(tmp_path)
    won = commit(first, 0, [1])
    lost = commit(second, 0, [2])
    assert lost == won
    assert second.table("embeddings", 0)["row"].to_pylist() == [1]
    marker = f"{first.folders['embeddings']}/done/00000.json"
    assert first.store.files() == ["plan.json", marker, won.key]


def test_a_race_of_many_leaves_one_marker_and_the_part_it_names(tmp_path: Path) -> None:
    runs = [new_run(tmp_path) for _ in range(6)]
    start = threading.Barrier(len(runs))
    markers: list[Marker] = []

    def commit_one(number: int) -> None:
        start.wait()
        markers.append(commit(runs[number], 0, [number]))

    threads = [threading.Thread(target=commit_one, args=(number,)) for number in range(len(runs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(markers) == len(runs)
    assert all(marker == markers[0] for marker in markers)
    parts = [name for name in runs[0].store.files() if name.endswith(".parquet")]
    assert parts == [markers[0].key]
    assert len(runs[0].table("embeddings", 0)) == 1


def test_a_winner_that_is_told_it_lost_keeps_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path)
    create = run.store.create

    def create_then_deny(path: str, data: bytes) -> bool:
        create(path, data)
        return False

    monkeypatch.setattr(run.store, "create", create_then_deny)
    commit(run, 0, [4])
    assert RunFolder(str(tmp_path), folders).table("embeddings", 0)["row"].to_pylist() == [4]


def test_binary_ids_travel_in_a_marker(tmp_path: Path) -> None:
    facts = {"dropped": [[b"\x00\xff", 3, "only zeros"], ["hex", 4, "a null"]]}
    committed = commit(new_run(tmp_path), 0, [1], facts=facts)
    read = RunFolder(str(tmp_path), folders).marker("embeddings", 0)
    assert read == committed
    assert read.facts["dropped"] == facts["dropped"]


@pytest.mark.parametrize("damage", ["changed", "cut off", "missing"])
def test_a_damaged_part_is_refused_and_its_task_is_left_to_do(tmp_path: Path, damage: str) -> None:
    run = new_run(tmp_path)
    key = commit(run, 0, [1]).key
    data = run.store.get(key) or b""
    if damage == "missing":
        run.store.delete(key)
    else:
        run.store.put(key, data[:9] + b"x" + data[10:] if damage == "changed" else data[:-1])
    with pytest.raises(DamagedError, match="is missing" if damage == "missing" else "was changed or damaged"):
        run.table("embeddings", 0)
    assert run.finished("embeddings") == RunFolder(str(tmp_path), folders).finished("embeddings") == set()
    commit(run, 0, [1])
    assert run.table("embeddings", 0)["row"].to_pylist() == [1]


def test_a_part_that_another_process_computed_again_is_read_under_its_new_name(tmp_path: Path) -> None:
    run, other = new_run(tmp_path), new_run(tmp_path)
    commit(run, 0, [1])
    other.markers.drop("embeddings", 0)
    commit(other, 0, [1])
    assert run.table("embeddings", 0)["row"].to_pylist() == [1]
    assert run.finished("embeddings") == {0}


def test_a_reply_that_was_damaged_on_its_way_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path)
    commit(run, 0, [1])
    get_range, replies = run.store.get_range, iter([b"broken"])
    monkeypatch.setattr(run.store, "get_range", lambda *range_: next(replies, None) or get_range(*range_))
    assert run.table("embeddings", 0)["row"].to_pylist() == [1]
    assert run.finished("embeddings") == {0}


def test_a_block_is_read_by_one_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path)
    commit(run, 0, [1, 2], [3])
    requests: list[tuple[str, int, int]] = []
    get_range = run.store.get_range
    monkeypatch.setattr(run.store, "get_range", lambda *range_: requests.append(range_) or get_range(*range_))
    assert run.table("embeddings", 0, ["row"], 1)["row"].to_pylist() == [3]
    ((key, start, stop),) = requests
    assert key == run.marker("embeddings", 0).key
    assert 0 < start < stop


def test_a_file_is_checked_as_a_whole(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    key = commit(run, 0, [1]).key
    run.require_file("embeddings", 0)
    run.store.put(key, (run.store.get(key) or b"") + b"x")
    with pytest.raises(DamagedError, match="was changed or damaged"):
        run.require_file("embeddings", 0)
    assert run.finished("embeddings") == set()


def test_a_marker_that_is_gone_is_named_with_its_shard(tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match=r"stages/embeddings/0/done/00001\.json is missing;"):
        new_run(tmp_path).marker("embeddings", 1)


def test_facts_and_arrays_are_read_back_in_another_process_and_checked(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    assert not run.has_facts("embeddings")
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    digest = run.put_array("embeddings", "centroids", values)
    run.put_facts("embeddings", {"starts": [0, 2], "centroids": digest})
    other = RunFolder(str(tmp_path), folders)
    assert other.has_facts("embeddings")
    assert other.facts("embeddings") == {"starts": [0, 2], "centroids": digest}
    np.testing.assert_array_equal(other.array("embeddings", "centroids", digest), values)
    path = "stages/embeddings/0/centroids.npy"
    run.store.put(path, (run.store.get(path) or b"")[:-1] + b"x")
    with pytest.raises(DamagedError, match="was changed or damaged"):
        other.array("embeddings", "centroids", digest)
    assert not other.has_facts("embeddings"), "the facts name an array that is gone"


def test_damaged_facts_count_as_none(tmp_path: Path) -> None:
    new_run(tmp_path).put_facts("embeddings", {"starts": [0, 2]})
    run = RunFolder(str(tmp_path), folders)
    path = "stages/embeddings/0/facts.json"
    run.store.put(path, (run.store.get(path) or b"").replace(b"2]", b"3]"))
    assert not run.has_facts("embeddings")


def test_facts_that_are_gone_are_missed_by_name(tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match=r"stages/embeddings/0/facts\.json is missing;"):
        new_run(tmp_path).facts("embeddings")


def test_a_shard_that_kills_its_worker_again_and_again_is_given_up(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    for _ in range(MAX_ATTEMPTS):
        run.count_attempt("embeddings", 0, "one")
    with pytest.raises(RayclusterError) as caught:
        run.count_attempt("embeddings", 0, "one")
    said = str(caught.value)
    assert said.startswith(f"Shard 0 of stage embeddings has killed its worker {MAX_ATTEMPTS} times")
    assert "--shards" in said


def test_attempts_count_by_shard_and_by_start_of_the_job(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    for _ in range(MAX_ATTEMPTS):
        run.count_attempt("embeddings", 0, "one")
    run.count_attempt("embeddings", 1, "one")
    run.count_attempt("embeddings", 0, "two")
    assert len(run.store.files(f"{run.folders['embeddings']}/attempts")) == MAX_ATTEMPTS + 2
    assert run.finished("embeddings") == set()
