"""A run folder: who may claim a shard, which settings move which stage, and what is missing."""

import json
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raycluster.config.load import load_config
from raycluster.config.stages import Config
from raycluster.errors import RayclusterError, StorageError
from raycluster.pipeline.run import STAGES
from raycluster.storage.object_store import Store
from raycluster.storage.run_folder import MAX_ATTEMPTS, Part, Stage, StoredTables

FILES = [{"path": "a.parquet", "size": 1, "version": "1"}]


def table(*rows: int) -> pa.Table:
    return pa.table({"row": pa.array(rows, pa.int32())})


EMBEDDINGS = Stage(name="embeddings", settings=lambda config: [], compute=lambda run, shard: Part([table(shard)]))


def plan(config: Config | None = None, **changes: Any) -> dict[str, Any]:
    values = {"config": asdict(config or Config()), "input": {"url": "in", "files": FILES}, "shards": 2, "pieces": []}
    return {**values, **changes}


def new_run(path: Path, **changes: Any) -> StoredTables:
    run = Run(str(path), (EMBEDDINGS,), plan=plan(**changes))
    run.folder.store.create("plan.json", json.dumps(run.plan).encode())
    return run


def test_a_folder_without_a_plan_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        open_run(str(tmp_path / "empty"))
    assert str(caught.value) == f"{tmp_path}/empty holds no plan.json: no run was started there."


def test_a_run_opened_again_has_the_configuration_it_was_started_with(tmp_path: Path) -> None:
    config = load_config("fc-es", {"knn": {"k": 9}}, "my.yaml")
    Store(str(tmp_path)).put("plan.json", json.dumps(plan(config)).encode())
    assert open_run(str(tmp_path)).config == config


def test_a_committed_shard_is_done_and_reads_back_in_another_process(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    assert run.done(EMBEDDINGS) == set()
    run.commit(EMBEDDINGS, 1, Part([table(7, 8), table(9)], {"links": 3}))
    other = Run(str(tmp_path), (EMBEDDINGS,))
    assert other.done(EMBEDDINGS) == {1}
    assert other.folder.marker("embeddings", 1).facts["links"] == 3
    assert other.folder.marker("embeddings", 1).facts["rows"] == 3
    assert other.table("embeddings", 1)["row"].to_pylist() == [7, 8, 9]


def test_of_two_that_commit_one_shard_the_second_takes_its_part_away(tmp_path: Path) -> None:
    first, second = new_run(tmp_path), new_run(tmp_path)
    won = first.commit(EMBEDDINGS, 0, Part([table(1)]))
    lost = second.commit(EMBEDDINGS, 0, Part([table(2)]))
    assert lost == won
    assert second.table("embeddings", 0)["row"].to_pylist() == [1]
    marker = f"{first.folders['embeddings']}/done/00000.json"
    assert first.store.files() == ["plan.json", marker, won["key"]]


def test_a_race_of_many_leaves_one_marker_and_the_part_it_names(tmp_path: Path) -> None:
    runs = [new_run(tmp_path) for _ in range(6)]
    start = threading.Barrier(len(runs))
    markers: list[dict[str, Any]] = []

    def commit(number: int) -> None:
        part = Part([table(number)])
        start.wait()
        markers.append(runs[number].commit(EMBEDDINGS, 0, part))

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(len(runs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(markers) == len(runs)
    assert all(marker == markers[0] for marker in markers)
    parts = [name for name in runs[0].store.files() if name.endswith(".parquet")]
    assert parts == [markers[0]["key"]]
    assert len(runs[0].table("embeddings", 0)) == 1


def test_a_winner_that_is_told_it_lost_keeps_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path)
    create = run.folder.store.create

    def create_then_deny(path: str, data: bytes) -> bool:
        create(path, data)
        return False

    monkeypatch.setattr(run.folder.store, "create", create_then_deny)
    run.commit(EMBEDDINGS, 0, Part([table(4)]))
    assert Run(str(tmp_path), (EMBEDDINGS,)).table("embeddings", 0)["row"].to_pylist() == [4]


def test_binary_ids_travel_in_a_marker(tmp_path: Path) -> None:
    facts = {"dropped": [[b"\x00\xff", 3, "only zeros"], ["hex", 4, "a null"]]}
    committed = new_run(tmp_path).commit(EMBEDDINGS, 0, Part([table(1)], facts))
    read = Run(str(tmp_path), (EMBEDDINGS,)).marker("embeddings", 0)
    assert read == committed
    assert read["dropped"] == facts["dropped"]


def test_a_damaged_part_is_refused(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    key = run.commit(EMBEDDINGS, 0, Part([table(1)]))["key"]
    run.folder.store.put(key, (run.folder.store.get(key) or b"") + b"x")
    with pytest.raises(StorageError, match="was changed or damaged"):
        run.folder.table("embeddings", 0)


def test_a_marker_that_is_gone_is_named_with_its_shard(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"Shard 1 of embeddings is gone from .*; run the same command again\."):
        new_run(tmp_path).marker("embeddings", 1)


def folders(config: Config, **changes: Any) -> dict[str, str]:
    return Run("unused", STAGES, plan=plan(config, **changes)).folders


ORDER = ["ingest", "embeddings", "lists", "knn", "edges", "communities", "labels"]


@pytest.mark.parametrize(
    ("section", "key", "value", "first"),
    [
        ("embeddings", "on_bad_row", "drop", "ingest"),
        ("knn", "storage", "float16", "lists"),
        ("knn", "lists", 5, "lists"),
        ("knn", "k", 9, "knn"),
        ("knn", "probes", 3, "knn"),
        ("knn", "recall", 0.9, "knn"),
        ("edges", "threshold", 0.7, "edges"),
        ("edges", "reserve", 0.2, "edges"),
        ("communities", "seed", 2, "communities"),
        ("communities", "trials", 2, "communities"),
        ("labels", "min_cluster_size", 3, "labels"),
    ],
)
def test_a_setting_moves_its_stage_and_all_downstream_and_none_upstream(
    section: str, key: str, value: Any, first: str
) -> None:
    base: dict[str, dict[str, Any]] = {"knn": {"index": "ivf"}}
    before = folders(load_config("cosine", base, "my.yaml"))
    changed = {**base, section: {**base.get(section, {}), key: value}}
    after = folders(load_config("cosine", changed, "my.yaml"))
    assert list(before) == ORDER
    assert [name for name in ORDER if before[name] != after[name]] == ORDER[ORDER.index(first) :]


@pytest.mark.parametrize(
    ("recipe", "section", "key", "value", "first"),
    [
        ("diff-cluster", "edges", "delta", 5.0, "relations"),
        ("diff-cluster", "edges", "eta", 0.7, "edges"),
        ("sdt-row", "edges", "eta", 0.7, "edges"),
        ("sdt-row", "edges", "combine", "minimum", "edges"),
        ("fc-es-topk", "edges", "theta", 0.7, "edges"),
    ],
)
def test_a_setting_of_a_learned_recipe_moves_the_stages_from_its_own_on(
    recipe: str, section: str, key: str, value: Any, first: str
) -> None:
    before, after = folders(load_config(recipe)), folders(load_config(recipe, {section: {key: value}}, "my.yaml"))
    order = list(before)
    assert [name for name in order if before[name] != after[name]] == order[order.index(first) :]


@pytest.mark.parametrize(
    ("recipe", "first"),
    [
        ("sdt-row", "topk"),
        ("fc-es-topk", "topk"),
        ("fc-eser", "relations"),
        ("face-transformer", "contexts"),
        ("face-transformer-only-lp", "relations"),
    ],
)
def test_another_model_moves_the_stages_that_ask_it_and_a_copy_of_it_elsewhere_none(recipe: str, first: str) -> None:
    one, other, copy = (
        folders(replace(load_config(recipe), model=model, model_digest=digest))
        for model, digest in (("a", "1"), ("b", "2"), ("b", "1"))
    )
    order = list(one)
    assert [name for name in order if one[name] != other[name]] == order[order.index(first) :]
    assert copy == one


def test_memory_and_the_name_of_the_recipe_move_no_stage() -> None:
    config = load_config("cosine")
    assert folders(load_config("cosine", {"communities": {"memory_gib": 3.0}}, "my.yaml")) == folders(config)
    assert folders(load_config("cosine", {"recipe": "other"}, "my.yaml")) == folders(config)


@pytest.mark.parametrize("column", ["id_column", "embedding_column"])
def test_another_column_moves_every_stage(column: str) -> None:
    before, after = folders(load_config("cosine")), folders(load_config("cosine", {column: "other"}, "my.yaml"))
    assert all(before[name] != after[name] for name in before)


@pytest.mark.parametrize(
    "changes",
    [{"shards": 3}, {"input": {"url": "in", "files": [{**FILES[0], "version": "2"}]}}, {"input": {"url": "else"}}],
)
def test_another_input_or_number_of_shards_moves_every_stage(changes: dict[str, Any]) -> None:
    before, after = folders(Config()), folders(Config(), **changes)
    assert all(before[name] != after[name] for name in before)


def test_another_version_of_the_package_moves_every_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    before = folders(Config())
    monkeypatch.setattr("raycluster.storage.run_folder.__version__", "9.9.9")
    assert not set(before.values()) & set(folders(Config()).values())


def test_stages_that_are_not_wanted_have_no_folder() -> None:
    assert "lists" not in folders(Config())
    assert "lists" in folders(load_config("cosine", {"knn": {"index": "ivf"}}, "my.yaml"))
    assert {"topk", "relations"} & set(folders(Config())) == set()
    assert {"topk", "relations"} <= set(folders(load_config("sdt-row")))
    assert {"topk", "relations"} & set(folders(load_config("fc-eser"))) == {"relations"}


def test_prepare_runs_once_and_is_remembered(tmp_path: Path) -> None:
    calls: list[int] = []

    def prepare(_: StoredTables) -> dict[str, Any]:
        calls.append(1)
        return {"starts": [0, 2, 5]}

    stage = Stage("embeddings", settings=lambda config: [], compute=EMBEDDINGS.compute, prepare=prepare)
    for _ in range(2):
        run = Run(str(tmp_path), (stage,), plan=plan())
        run.prepare(stage)
        assert (run.bounds, run.shards, run.rows) == ([0, 2, 5], 2, 5)
    assert len(calls) == 1


def test_what_prepare_found_is_missed_by_name(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"lost embeddings/prepared\.json; run the same command again\."):
        new_run(tmp_path).prepared("embeddings")


def test_a_shard_that_kills_its_worker_again_and_again_is_given_up(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    for _ in range(MAX_ATTEMPTS):
        run.count_attempt(EMBEDDINGS, 0, "one")
    with pytest.raises(RayclusterError) as caught:
        run.count_attempt(EMBEDDINGS, 0, "one")
    said = str(caught.value)
    assert said.startswith(f"Shard 0 of stage embeddings has killed its worker {MAX_ATTEMPTS} times")
    assert "--shards" in said


def test_attempts_count_by_shard_and_by_start_of_the_job(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    for _ in range(MAX_ATTEMPTS):
        run.count_attempt(EMBEDDINGS, 0, "one")
    run.count_attempt(EMBEDDINGS, 1, "one")
    run.count_attempt(EMBEDDINGS, 0, "two")
    assert len(run.folder.store.files(f"{run.folder.folders['embeddings']}/attempts")) == MAX_ATTEMPTS + 2
    assert run.done(EMBEDDINGS) == set()
