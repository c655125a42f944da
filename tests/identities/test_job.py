"""Updates from run folder to run folder."""

import json
import shutil
from unittest.mock import Mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.errors import ConfigError, InputError, StorageError
from raycluster.evaluation import metrics
from raycluster.evaluation.evaluate import evaluate
from raycluster.identities.corrections import split, undo
from raycluster.identities.inheritance import NO_ID
from raycluster.identities.job import Order, in_words, update_run
from raycluster.identities.layers import loaded, unfitted_config
from raycluster.pipeline.run import cluster
from raycluster.storage import schemas
from raycluster.storage.object_store import Store
from raycluster.storage.records import decode_unchecked, encode
from raycluster.storage.run_folder import read_plan
from support.decided import decided
from support.living import BASE, ROWS, config_of, rows, updated


def written(path, numbers):
    table = {
        "id": pa.array(list(numbers)),
        "embedding": pa.array(list(rows()[0][list(numbers)]), pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(table), path)
    return str(path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run of 240 rows in three shards, and its update by 60."""
    folder = tmp_path_factory.mktemp("runs")
    source = written(folder / "base.parquet", range(BASE))
    cluster(source, str(folder / "run"), config_of(), Execution("local", shards=3))
    new = written(folder / "new.parquet", range(BASE, ROWS))
    return folder, update_run(str(folder / "run"), str(folder / "run2"), Order((new,), threads=1))


def labels(folder):
    return pq.read_table(sorted((folder / "labels").glob("*.parquet")))


def test_an_update_of_a_folder_is_the_update_of_its_arrays(runs):
    folder, summary = runs
    expected = updated(loaded(str(folder / "run")), range(BASE, ROWS))
    table = labels(folder / "run2")
    assert table["id"].to_pylist() == list(range(ROWS))
    np.testing.assert_array_equal(table["cluster_id"].fill_null(NO_ID).to_numpy(), expected.state.row_id)
    assert summary["rows"] == ROWS
    assert summary["clusters"] == len(np.unique(expected.state.row_id[expected.state.row_id >= 0]))
    manifest = json.loads((folder / "run2" / "MANIFEST.json").read_text())
    assert manifest["summary"] == summary
    clusters = pq.read_table(folder / "run2" / "clusters.parquet")
    np.testing.assert_array_equal(
        clusters["size"], np.unique(expected.state.row_id[expected.state.row_id >= 0], return_counts=True)[1]
    )


def test_an_update_is_evaluated_as_any_run(runs):
    folder, _ = runs
    truth = pa.table({"id": np.arange(ROWS), "label": rows()[1]})
    pq.write_table(truth, folder / "truth.parquet")
    scores = evaluate(str(folder / "run2"), str(folder / "truth.parquet"))
    cluster_id = schemas.cluster_ids(labels(folder / "run2")["cluster_id"])
    assert scores["bcubed"] == metrics.evaluate(rows()[1], cluster_id)["bcubed"]
    with pytest.raises(InputError, match="run2 is an update and has no tables of stages; a sweep"):
        evaluate(str(folder / "run2"), str(folder / "truth.parquet"), sweep=(0.6,))


def test_a_stored_state_is_the_state(runs):
    folder, _ = runs
    expected = updated(loaded(str(folder / "run")), range(BASE, ROWS)).state
    found = loaded(str(folder / "run2"))
    for name in ("is_alive", "vectors", "piece", "whole", "row_id", "confirmed"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    np.testing.assert_array_equal(found.lists.neighbor, expected.lists.neighbor)
    np.testing.assert_array_equal(found.lists.similarity, expected.lists.similarity)
    np.testing.assert_array_equal(found.edges.key(), expected.edges.key())
    np.testing.assert_array_equal(found.edges.weight, expected.edges.weight)
    assert found.ids.equals(expected.ids)
    assert (found.next_id, found.base) == (expected.next_id, expected.base)
    assert found.records.lineage["event"].equals(expected.records.lineage["event"])


def test_updates_of_updates_with_deletions_and_decisions(runs, tmp_path):
    folder, _ = runs
    pq.write_table(pa.table({"id": pa.array([3, 250])}), tmp_path / "gone.parquet")
    pq.write_table(decided([(1, 200, True, 0), (4, 5, False, 1)]), tmp_path / "decisions.parquet")
    order = Order((), str(tmp_path / "gone.parquet"), str(tmp_path / "decisions.parquet"), threads=1)
    summary = update_run(str(folder / "run2"), str(tmp_path / "run3"), order)
    assert (summary["removed"], summary["rows"], summary["violations"]) == (2, ROWS - 2, 0)
    table = labels(tmp_path / "run3")
    own = dict(zip(table["id"].to_pylist(), schemas.cluster_ids(table["cluster_id"]).tolist(), strict=True))
    assert 3 not in own
    assert own[1] == own[200]
    assert own[4] != own[5]
    again = update_run(
        str(tmp_path / "run3"), str(tmp_path / "run4"), Order((written(tmp_path / "n.parquet", [3]),), threads=1)
    )
    assert again["rows"] == ROWS - 1
    assert pq.read_table(tmp_path / "run4" / "decisions.parquet").num_rows == 2
    assert "rows are new" in in_words(again)


def test_the_same_rows_again_change_nothing(runs, tmp_path):
    folder, _ = runs
    summary = update_run(
        str(folder / "run2"), str(tmp_path / "again"), Order((str(folder / "new.parquet"),), threads=1)
    )
    assert (summary["same"], summary["new"], summary["solved"], summary["changed_ids"]) == (ROWS - BASE, 0, 0, 0)
    assert (tmp_path / "again/labels/part-00000.parquet").read_bytes() == (
        folder / "run2/labels/part-00000.parquet"
    ).read_bytes()


def test_rows_that_go_and_come_back_find_their_clusters_and_ids(runs, tmp_path):
    """Two updates of folders: the partition and all ids are those of the start, and retired ids are in use again."""
    folder, _ = runs
    gone = sorted({*range(0, ROWS, 9), *range(40, 46)})
    pq.write_table(pa.table({"id": pa.array(gone)}), tmp_path / "gone.parquet")
    without = update_run(
        str(folder / "run2"), str(tmp_path / "without"), Order((), str(tmp_path / "gone.parquet"), threads=1)
    )
    assert (without["removed"], without["rows"]) == (len(gone), ROWS - len(gone))
    back = Order((written(tmp_path / "back.parquet", gone),), threads=1)
    again = update_run(str(tmp_path / "without"), str(tmp_path / "again"), back)
    assert (again["new"], again["rows"], again["avoidable_changes"]) == (len(gone), ROWS, 0)
    start, end = (labels(run).sort_by("id") for run in (folder / "run2", tmp_path / "again"))
    assert end["id"].equals(start["id"])
    assert end["cluster_id"].equals(start["cluster_id"])
    assert without["changed_ids"] + again["changed_ids"] < len(gone)


def test_the_same_batch_twice_is_no_event(runs, tmp_path):
    """Rows that are new to one run are there already in the next: labels are the same bytes, and lineage stays as it was."""
    folder, _ = runs
    batch = Order((str(folder / "new.parquet"), str(folder / "base.parquet")), threads=1)
    summary = update_run(str(folder / "run2"), str(tmp_path / "twice"), batch)
    assert (summary["same"], summary["new"], summary["searched"], summary["solved"]) == (ROWS, 0, 0, 0)
    for name in ("labels/part-00000.parquet", "clusters.parquet", "lineage.parquet", "aliases.parquet"):
        assert (tmp_path / "twice" / name).read_bytes() == (folder / "run2" / name).read_bytes(), name


def test_an_update_writes_what_changed_and_no_file_of_the_runs_before(runs, tmp_path):
    """Two rows go, and a few are placed again: files of both runs before are the same bytes, and no other row is written."""
    folder, _ = runs
    files = [path for run in ("run", "run2") for path in (folder / run).rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    pq.write_table(pa.table({"id": pa.array([3, 250])}), tmp_path / "gone.parquet")
    order = Order((), str(tmp_path / "gone.parquet"), threads=1)
    summary = update_run(str(folder / "run2"), str(tmp_path / "run3"), order)
    assert {path: path.read_bytes() for path in files} == before
    state, was = loaded(str(tmp_path / "run3")), loaded(str(folder / "run2"))
    relisted = set(pq.read_table(tmp_path / "run3" / "state" / "lists.parquet")["row"].to_pylist())
    assert len(relisted) == summary["dirty"] + 2 < ROWS / 2
    for row in set(range(ROWS)) - relisted:
        np.testing.assert_array_equal(state.lists.neighbor[row], was.lists.neighbor[row])
    assert pq.read_table(tmp_path / "run3" / "state" / "rows.parquet").num_rows == 0
    assert pq.read_table(tmp_path / "run3" / "state" / "members.parquet").num_rows < ROWS / 4


STEPS = ["job.incoming", "neighbors.hits_of", "neighbors._insert", "grown.rescored", "grown.changed_edges"]
"""What an update calls in its steps: plan, search, lists of old rows, scores, touched rows, solve, ids."""
STEPS += ["update.placed", "update.inherit", "job.saved", "job.published"]
FILES = ["state/rows.parquet", "state/edges.parquet", "state.json", "labels/part-00000.parquet", "MANIFEST.json"]
"""What the last step writes, in this order."""


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A finished run of 240 rows with scores of the shipped network, and its update by 60."""
    folder = tmp_path_factory.mktemp("scored")
    source = written(folder / "base.parquet", range(BASE))
    cluster(source, str(folder / "run"), config_of("auto", edges={}), Execution("local"))
    new = written(folder / "new.parquet", range(BASE, ROWS))
    update_run(str(folder / "run"), str(folder / "run2"), Order((new,), threads=1))
    return folder


@pytest.mark.parametrize("stop", [*STEPS, *FILES])
def test_an_interrupted_update_leaves_the_old_run_and_the_same_command_completes(
    runs, request, tmp_path, monkeypatch, stop
):
    folder = request.getfixturevalue("scored") if stop == "grown.rescored" else runs[0]
    before = {path: path.read_bytes() for path in (folder / "run").rglob("*") if path.is_file()}
    order = Order((str(folder / "new.parquet"),), threads=1)
    with monkeypatch.context() as patch:
        put = Store.put

        def put_or_die(self, path, data):
            if path == stop:
                raise KeyboardInterrupt
            put(self, path, data)

        if stop in STEPS:
            patch.setattr(f"raycluster.identities.{stop}", Mock(side_effect=KeyboardInterrupt))
        patch.setattr(Store, "put", put_or_die)
        with pytest.raises(KeyboardInterrupt):
            update_run(str(folder / "run"), str(tmp_path / "out"), order)
    assert not (tmp_path / "out" / "MANIFEST.json").exists()
    assert {path: path.read_bytes() for path in (folder / "run").rglob("*") if path.is_file()} == before
    update_run(str(folder / "run"), str(tmp_path / "out"), order)
    assert labels(tmp_path / "out").equals(labels(folder / "run2"))


@pytest.mark.slow
@pytest.mark.parametrize("stop", [None, "clusters.parquet", "state/input.parquet", "plan.json"])
def test_an_update_whose_rows_pick_another_limit_runs_in_full(tmp_path, monkeypatch, capsys, stop):
    source = written(tmp_path / "base.parquet", range(BASE))
    config = config_of(knn={"k": 40}, edges={})
    cluster(source, str(tmp_path / "run"), config, Execution("local"))
    assert loaded(str(tmp_path / "run")).limits.picked
    order = Order((written(tmp_path / "new.parquet", range(BASE, ROWS)),), threads=1)
    monkeypatch.setattr("raycluster.identities.advice.threshold_of", lambda *_: 0.9)
    if stop is not None:

        def stopped(method):
            def put(self, path, data):
                if path == stop:
                    raise KeyboardInterrupt
                return method(self, path, data)

            return put

        with monkeypatch.context() as patch:
            for name in ("put", "create"):
                patch.setattr(Store, name, stopped(getattr(Store, name)))
            with pytest.raises(KeyboardInterrupt):
                update_run(str(tmp_path / "run"), str(tmp_path / "out"), order)
    summary = update_run(str(tmp_path / "run"), str(tmp_path / "out"), order)
    assert "everything is clustered again, because its 300 rows pick a limit of 0.9000" in capsys.readouterr().err
    assert (summary["mode"], summary["new"], summary["rows"]) == ("full", ROWS - BASE, ROWS)
    assert update_run(str(tmp_path / "run"), str(tmp_path / "out"), order) == summary
    other = Order((source,), str(tmp_path / "new.parquet"), threads=1)
    with pytest.raises(ConfigError, match="is a run folder already"):
        update_run(str(tmp_path / "run"), str(tmp_path / "out"), other)


def test_mistakes_are_sentences(runs, tmp_path):
    folder, _ = runs
    order = Order((str(folder / "new.parquet"),), threads=1)
    with pytest.raises(InputError, match="holds no finished run"):
        update_run(str(tmp_path / "none"), str(tmp_path / "out"), order)
    with pytest.raises(ConfigError, match="is a run folder already"):
        update_run(str(folder / "run"), str(folder / "run"), order)
    with pytest.raises(InputError, match="nothing to update"):
        update_run(str(folder / "run"), str(tmp_path / "out"), Order(threads=1))


def test_copies_stay_together_and_outlive_the_row_that_they_are_copies_of(tmp_path):
    """Rows 300..304 are copies of rows 3, 3, 8, 8 and 9; row 3 goes later."""
    numbers = [*range(BASE), 3, 3, 8, 8, 9]
    ids = [*range(BASE), *range(300, 305)]
    table = {"id": pa.array(ids), "embedding": pa.array(list(rows()[0][numbers]), pa.list_(pa.float32()))}
    pq.write_table(pa.table(table), tmp_path / "copies.parquet")
    cluster(str(tmp_path / "copies.parquet"), str(tmp_path / "run"), config_of(), Execution("local", shards=3))
    plain = labels(tmp_path / "run")
    pq.write_table(pa.table({"id": pa.array([3])}), tmp_path / "gone.parquet")
    new = written(tmp_path / "new.parquet", range(BASE, BASE + 20))
    order = Order((new,), str(tmp_path / "gone.parquet"), threads=1)
    summary = update_run(str(tmp_path / "run"), str(tmp_path / "run2"), order)
    assert summary["rows"] == len(ids) + 19
    for folder, pairs in (("run", [(3, 300), (300, 301)]), ("run2", [(300, 301)])):
        found = labels(tmp_path / folder)
        own = dict(zip(found["id"].to_pylist(), schemas.cluster_ids(found["cluster_id"]).tolist(), strict=True))
        sure = dict(zip(found["id"].to_pylist(), found["strength"].to_pylist(), strict=True))
        for one, other in [*pairs, (8, 302), (302, 303), (9, 304)]:
            assert own[one] == own[other]
            assert sure[one] == sure[other]
    was = dict(zip(plain["id"].to_pylist(), plain["cluster_id"].to_pylist(), strict=True))
    same = [own[row] == was[row] for row in was if row != 3 and list(was.values()).count(was[row]) > 1]
    assert np.mean(same) > 0.9
    update_run(
        str(tmp_path / "run2"), str(tmp_path / "run3"), Order((written(tmp_path / "b.parquet", [3]),), threads=1)
    )
    assert labels(tmp_path / "run3").num_rows == len(ids) + 20


def test_a_split_parts_copies_and_undo_brings_them_together(tmp_path, monkeypatch):
    """Rows 300 to 303 are copies of row 3, and above the limit of sets that need --yes."""
    monkeypatch.setattr("raycluster.identities.rules.LARGEST_SET", 4)
    numbers, ids = [*range(BASE), 3, 3, 3, 3], [*range(BASE), *range(300, 304)]
    table = {"id": pa.array(ids), "embedding": pa.array(list(rows()[0][numbers]), pa.list_(pa.float32()))}
    pq.write_table(pa.table(table), tmp_path / "copies.parquet")
    run = tmp_path / "run"
    cluster(str(tmp_path / "copies.parquet"), str(run), config_of(), Execution("local"))
    before = dict(zip(*(labels(run)[name].to_pylist() for name in ("id", "cluster_id")), strict=True))
    split(str(run), before[3], ["3", "301"])
    summary = update_run(str(run), f"{run}2", Order(threads=1))
    assert summary["violations"] == summary["decisions_left_out"] == 0
    after = dict(zip(*(labels(tmp_path / "run2")[name].to_pylist() for name in ("id", "cluster_id")), strict=True))
    assert after[3] == after[301]
    rest = [row for row in ids if before[row] == before[3] and row not in (3, 301)]
    assert len({after[row] for row in rest}) == 1, "copies that stay keep their edges, though the first of them left"
    assert after[300] != after[3]
    undo(f"{run}2")
    update_run(f"{run}2", f"{run}3", Order(threads=1))
    assert labels(tmp_path / "run3")["cluster_id"].equals(labels(run)["cluster_id"])


def test_the_same_command_again_is_complete_and_another_is_refused(runs, capsys):
    folder, summary = runs
    order = Order((str(folder / "new.parquet"),), threads=1)
    assert update_run(str(folder / "run"), str(folder / "run2"), order) == summary
    assert "is complete" in capsys.readouterr().err
    before = {path: path.read_bytes() for path in (folder / "run2").rglob("*") if path.is_file()}
    for other in (Order((str(folder / "base.parquet"),), threads=1), Order((), str(folder / "new.parquet"), threads=1)):
        with pytest.raises(ConfigError, match="of another update"):
            update_run(str(folder / "run"), str(folder / "run2"), other)
    assert {path: path.read_bytes() for path in (folder / "run2").rglob("*") if path.is_file()} == before


def test_what_is_refused_leaves_no_folder(runs, tmp_path):
    folder, _ = runs
    pq.write_table(pa.table({"id": pa.array(range(BASE))}), tmp_path / "all.parquet")
    with pytest.raises(InputError, match="nothing is left to cluster"):
        update_run(str(folder / "run"), str(tmp_path / "out"), Order((), str(tmp_path / "all.parquet"), threads=1))
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine" / "state").mkdir(parents=True)
    (tmp_path / "mine" / "state" / "input.parquet.txt").write_text("mine")
    for mode in ("local", "full"):
        with pytest.raises(ConfigError, match="is not empty"):
            update_run(
                str(folder / "run"),
                str(tmp_path / "mine"),
                Order((str(folder / "new.parquet"),), mode=mode, threads=1),
            )
    assert [path.name for path in (tmp_path / "mine" / "state").iterdir()] == ["input.parquet.txt"]


def test_runs_that_are_moved_together_go_on(runs, tmp_path):
    folder, _ = runs
    for name in ("run", "run2"):
        shutil.copytree(folder / name, tmp_path / "old" / name)
    state = tmp_path / "old" / "run2" / "state.json"
    state.write_bytes(state.read_bytes().replace(str(folder).encode(), str(tmp_path / "gone").encode()))
    record = decode_unchecked(state.read_bytes(), "state.json")
    state.write_bytes(encode({name: value for name, value in record.items() if name != "sha256"}))
    (tmp_path / "old").rename(tmp_path / "new")
    assert loaded(str(tmp_path / "new" / "run2")).num_rows == ROWS
    shutil.rmtree(tmp_path / "new" / "run")
    with pytest.raises(StorageError, match="which is gone; put it back"):
        loaded(str(tmp_path / "new" / "run2"))
    shutil.copytree(folder / "run2", tmp_path / "new" / "run")
    with pytest.raises(StorageError, match="whose labels are others since"):
        loaded(str(tmp_path / "new" / "run2"))


@pytest.mark.parametrize("mode", ["local", "attach"])
def test_rows_join_identities_that_share_no_edge(tmp_path, mode):
    rows = np.repeat(np.eye(8), 5, axis=0) + 0.02 * np.random.default_rng(0).standard_normal((40, 8))
    for name, numbers in (("base", [row for row in range(40) if row % 5]), ("new", range(0, 40, 5))):
        table = {"id": pa.array(numbers), "embedding": pa.array(list(rows[list(numbers)]), pa.list_(pa.float32()))}
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    cluster(str(tmp_path / "base.parquet"), str(tmp_path / "run"), config_of(), Execution("local"))
    order = Order((str(tmp_path / "new.parquet"),), mode=mode, threads=1)
    update_run(str(tmp_path / "run"), str(tmp_path / "run2"), order)
    found = labels(tmp_path / "run2").sort_by("id")["cluster_id"].to_numpy()
    assert len(set(zip(np.arange(40) // 5, found.tolist(), strict=True))) == len(set(found.tolist())) == 8


def test_rows_without_ids_follow_those_of_a_run_without_ids(runs, tmp_path):
    folder, _ = runs
    for name in ("base", "new"):
        pq.write_table(pq.read_table(folder / f"{name}.parquet").drop(["id"]), tmp_path / f"{name}.parquet")
    cluster(str(tmp_path / "base.parquet"), str(tmp_path / "run"), config_of(), Execution("local"))
    order = Order((str(tmp_path / "new.parquet"), str(tmp_path / "new.parquet")), threads=1)
    summary = update_run(str(tmp_path / "run"), str(tmp_path / "run2"), order)
    assert (summary["new"], summary["removed"]) == (2 * (ROWS - BASE), 0)
    assert sorted(labels(tmp_path / "run2")["id"].to_pylist()) == list(range(2 * ROWS - BASE))
    with pytest.raises(InputError, match="has no column 'id', by which its rows would be new or replace others"):
        update_run(str(folder / "run"), str(tmp_path / "out"), order)


def test_rows_without_a_vector_are_dropped_where_the_update_says_so(runs, tmp_path):
    folder, _ = runs
    table = {
        "id": pa.array([900, 901]),
        "embedding": pa.array([[0.0] * 32, list(rows()[0][5])], pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(table), tmp_path / "zero.parquet")
    with pytest.raises(InputError, match="row 0: the vector holds only zeros"):
        update_run(str(folder / "run"), str(tmp_path / "out"), Order((str(tmp_path / "zero.parquet"),), threads=1))
    order = Order((str(tmp_path / "zero.parquet"),), on_bad_row="drop", threads=1)
    summary = update_run(str(folder / "run"), str(tmp_path / "out"), order)
    assert (summary["new"], summary["dropped"]) == (1, 1)
    assert "1 new rows had no usable vector" in in_words(summary)


@pytest.mark.parametrize("kind", [pa.int32(), pa.uint8(), pa.int64()], ids=str)
def test_ids_of_another_width_are_the_same_ids(runs, tmp_path, kind):
    folder, _ = runs
    table = pq.read_table(folder / "base.parquet").slice(0, 9)
    pq.write_table(table.set_column(0, "id", table["id"].cast(kind)), tmp_path / "same.parquet")
    order = Order((str(tmp_path / "same.parquet"),), threads=1)
    assert update_run(str(folder / "run"), str(tmp_path / "out"), order)["same"] == 9
    null = table.set_column(0, "id", pa.array([None, *range(8)], kind))
    pq.write_table(null, tmp_path / "null.parquet")
    with pytest.raises(InputError, match=r"null\.parquet, column 'id', row 0: the id is null"):
        update_run(str(folder / "run"), str(tmp_path / "none"), Order((str(tmp_path / "null.parquet"),), threads=1))


def test_updates_are_evaluated(runs):
    folder, _ = runs
    pq.write_table(pa.table({"id": range(ROWS), "label": rows()[1]}), folder / "truth.parquet")
    assert evaluate(str(folder / "run2"), str(folder / "truth.parquet"))["rows"] == ROWS
    with pytest.raises(InputError, match="need a full run"):
        evaluate(str(folder / "run2"), str(folder / "truth.parquet"), sweep=[0.5])


@pytest.mark.slow
def test_lists_that_few_rows_made_short_grow_with_the_set(tmp_path, capsys):
    """The number of rows shortens neighbor lists, and a full run of more rows has those that were configured."""
    folder = str(tmp_path / "run")
    cluster(written(tmp_path / "few.parquet", range(10)), folder, config_of(), Execution("local"))
    assert read_plan(Store(folder)).config["knn"]["k"] == 9
    one = update_run(folder, f"{folder}2", Order((written(tmp_path / "one.parquet", range(10, 11)),), threads=1))
    assert one["mode"] == "full"
    assert "its neighbor lists can have 10 ranks, and those of the last full run have 9" in capsys.readouterr().err
    many = update_run(
        f"{folder}2", f"{folder}3", Order((written(tmp_path / "many.parquet", range(11, BASE)),), threads=1)
    )
    plan = read_plan(Store(f"{folder}3"))
    assert (many["mode"], plan.config["knn"]["k"], plan.unfitted) == ("full", 12, {"knn": {"index": "auto"}})
    local = update_run(
        f"{folder}3", f"{folder}4", Order((written(tmp_path / "more.parquet", range(BASE, ROWS)),), threads=1)
    )
    assert local["mode"] == "local"
    assert unfitted_config(f"{folder}4").knn.index == "auto"
    expected = tmp_path / "whole"
    cluster(written(tmp_path / "all.parquet", range(BASE)), str(expected), config_of(), Execution("local"))
    pairs = [np.unique(schemas.cluster_ids(labels(run)["cluster_id"]), return_inverse=True)[1] for run in (expected,)]
    pairs.append(np.unique(schemas.cluster_ids(labels(tmp_path / "run3")["cluster_id"]), return_inverse=True)[1])
    assert metrics.evaluate(*pairs)["pairwise"]["f"] == 1


def test_another_model_runs_in_full(scored, tmp_path, monkeypatch, capsys):
    """Scores of two models are never mixed."""
    new = written(tmp_path / "new.parquet", range(BASE, ROWS))
    monkeypatch.setattr("raycluster.identities.advice.has_other_model", lambda config: config.model is not None)
    monkeypatch.setattr("raycluster.identities.job.has_other_model", lambda config: config.model is not None)
    with pytest.raises(InputError, match="cannot be updated by attach, because its model is another one"):
        update_run(str(scored / "run"), str(tmp_path / "out"), Order((new,), mode="attach", threads=1))
    assert not (tmp_path / "out").exists()
    summary = update_run(str(scored / "run"), str(tmp_path / "out"), Order((new,), threads=1))
    assert (summary["mode"], summary["rows"]) == ("full", ROWS)
    assert "again, because its model is another one than that of the last full run" in capsys.readouterr().err
