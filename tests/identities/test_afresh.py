"""Full runs that take over the ids of a run before."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.errors import ConfigError, InputError
from raycluster.identities.afresh import Legacy
from raycluster.identities.inheritance import NO_ID
from raycluster.identities.job import Order, cluster_on, in_words, update_run
from raycluster.identities.layers import loaded
from raycluster.pipeline.run import cluster
from support.decided import decided
from support.living import BASE, ROWS, config_of, rows

LOCAL = Execution("local")


def written(path, numbers, **columns):
    vectors = pa.array(list(rows()[0][list(numbers)]), pa.list_(pa.float32()))
    pq.write_table(pa.table({"id": pa.array(list(numbers)), "embedding": vectors, **columns}), path)
    return str(path)


def labels(folder):
    """{row id: cluster id}, `NO_ID` for rows alone."""
    table = pq.read_table(sorted((folder / "labels").glob("*.parquet")))
    return dict(zip(table["id"].to_pylist(), table["cluster_id"].fill_null(NO_ID).to_pylist(), strict=True))


def partition(own):
    """Sets of ids that share a cluster."""
    sets = {}
    for row, name in own.items():
        sets.setdefault((name, row if name == NO_ID else -1), set()).add(row)
    return {frozenset(rows) for rows in sets.values()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run of 240 rows, one of all 300, and the rows that are new."""
    place = tmp_path_factory.mktemp("afresh")
    cluster(written(place / "base.parquet", range(BASE)), str(place / "run"), config_of(), LOCAL)
    cluster(written(place / "all.parquet", range(ROWS)), str(place / "whole"), config_of(), LOCAL)
    written(place / "new.parquet", range(BASE, ROWS))
    return place


def test_a_full_update_is_the_run_of_all_rows_with_the_ids_of_before(folder):
    order = Order((str(folder / "new.parquet"),), mode="full")
    summary = update_run(str(folder / "run"), str(folder / "full"), order)
    before, whole, full = labels(folder / "run"), labels(folder / "whole"), labels(folder / "full")
    sizes = np.unique(list(whole.values()), return_counts=True)
    shared = {row: name if sizes[1][sizes[0] == name][0] > 1 else NO_ID for row, name in whole.items()}
    assert partition(full) == partition(shared)
    state = loaded(str(folder / "run"))
    kept = sum(full[row] == name for row, name in before.items() if state.row_id[row] != NO_ID)
    assert kept >= 0.95 * sum(state.row_id != NO_ID)
    assert (summary["new"], summary["removed"], summary["same"]) == (ROWS - BASE, 0, BASE)
    assert summary["avoidable_changes"] == 0
    assert "rows are new" in in_words(summary)
    names = [name for name in full.values() if name != NO_ID]
    assert max(names) < loaded(str(folder / "full")).next_id


def test_a_full_run_can_be_updated_and_its_state_is_what_was_published(folder, tmp_path):
    inputs = [str(folder / "all.parquet")]
    cluster_on(inputs, str(tmp_path / "full"), config_of(), LOCAL, Legacy(str(folder / "run")))
    state = loaded(str(tmp_path / "full"))
    published = labels(tmp_path / "full")
    assert {row: int(name) for row, name in enumerate(state.row_id)} == published
    pq.write_table(pa.table({"id": pa.array([7])}), tmp_path / "gone.parquet")
    summary = update_run(
        str(tmp_path / "full"), str(tmp_path / "next"), Order(delete=str(tmp_path / "gone.parquet"), threads=1)
    )
    assert summary["rows"] == ROWS - 1
    assert summary["changed_ids"] <= 6


def test_the_same_rows_in_full_keep_every_id(folder, tmp_path):
    inputs = [str(folder / "base.parquet")]
    summary = cluster_on(inputs, str(tmp_path / "again"), config_of(), LOCAL, Legacy(str(folder / "run")))
    assert (summary["changed_ids"], summary["new"], summary["removed"]) == (0, 0, 0)
    assert pq.read_table(tmp_path / "again" / "lineage.parquet").num_rows == 0
    again = cluster_on(inputs, str(tmp_path / "again"), config_of(), LOCAL, Legacy(str(folder / "run")))
    assert again == summary


def test_decisions_hold_in_a_full_run_and_in_those_that_follow(folder, tmp_path):
    pq.write_table(decided([(1, 200, True, 0), (4, 5, False, 1)]), tmp_path / "decisions.parquet")
    legacy = Legacy(str(folder / "run"), str(tmp_path / "decisions.parquet"))
    inputs = [str(folder / "all.parquet")]
    summary = cluster_on(inputs, str(tmp_path / "one"), config_of(), LOCAL, legacy)
    assert summary["violations"] == 0
    cluster_on(inputs, str(tmp_path / "two"), config_of(), LOCAL, Legacy(str(tmp_path / "one")))
    for name in ("one", "two"):
        own = labels(tmp_path / name)
        assert own[1] == own[200] != NO_ID
        assert own[4] != own[5] or own[4] == NO_ID


def test_columns_decide_in_a_full_run_and_in_updates(folder, tmp_path):
    frame = pa.array([0 if row in (4, 5) else None for row in range(BASE)], pa.int32())
    ean = pa.array(["x" if row in (1, 200) else None for row in range(BASE)])
    source = written(tmp_path / "base.parquet", range(BASE), frame=frame, ean=ean)
    columns = {"exclusive": ["frame"], "same": ["ean"]}
    cluster_on([source], str(tmp_path / "run"), config_of(), LOCAL, Legacy(columns=columns))
    own = labels(tmp_path / "run")
    assert own[1] == own[200] != NO_ID
    assert own[4] != own[5] or own[4] == NO_ID
    new = range(BASE, ROWS)
    more = pa.array(["x" if row == ROWS - 1 else None for row in new])
    nulls = pa.nulls(ROWS - BASE, pa.int32())
    written(tmp_path / "new.parquet", new, frame=nulls, ean=more)
    update_run(str(tmp_path / "run"), str(tmp_path / "run2"), Order((str(tmp_path / "new.parquet"),), threads=1))
    own = labels(tmp_path / "run2")
    assert own[1] == own[200] == own[ROWS - 1]
    with pytest.raises(InputError, match="has the column 'frame', which decides"):
        update_run(str(tmp_path / "run"), str(tmp_path / "x"), Order((str(folder / "new.parquet"),), threads=1))


def test_a_column_named_later_is_read_from_the_inputs_of_the_run(tmp_path):
    country = pa.array(["de" if row % 2 else "fr" for row in range(BASE)])
    source = written(tmp_path / "base.parquet", range(BASE), country=country)
    cluster(source, str(tmp_path / "run"), config_of(), LOCAL)
    order = Order(columns={"differ": ["country"]}, threads=1)
    summary = update_run(str(tmp_path / "run"), str(tmp_path / "run2"), order)
    own = labels(tmp_path / "run2")
    for sets in partition(own):
        assert len({row % 2 for row in sets}) == 1
    assert summary["violations"] == 0
    assert summary["touched"] > 0


def test_a_recipe_that_cannot_be_updated_locally_runs_in_full(folder, tmp_path, capsys):
    cluster(str(folder / "base.parquet"), str(tmp_path / "run"), config_of("components"), LOCAL)
    summary = update_run(str(tmp_path / "run"), str(tmp_path / "run2"), Order((str(folder / "new.parquet"),)))
    assert (summary["mode"], summary["rows"]) == ("full", ROWS)
    assert "everything is clustered again, because" in capsys.readouterr().err
    manifest = json.loads((tmp_path / "run2" / "MANIFEST.json").read_text())
    assert manifest["summary"] == summary
    with pytest.raises(InputError, match="cannot be updated locally"):
        update_run(
            str(tmp_path / "run"), str(tmp_path / "no"), Order((str(folder / "new.parquet"),), mode="attach", threads=1)
        )


def test_a_batch_as_large_as_the_run_is_clustered_in_full(folder, tmp_path, capsys):
    """Half of the rows and then the other half end where all rows at once end, and ids stay."""
    cluster(written(tmp_path / "first.parquet", range(0, BASE, 2)), str(tmp_path / "run"), config_of(), LOCAL)
    order = Order((written(tmp_path / "second.parquet", range(1, BASE, 2)),), threads=1)
    summary = update_run(str(tmp_path / "run"), str(tmp_path / "run2"), order)
    assert (summary["mode"], summary["new"], summary["avoidable_changes"]) == ("full", BASE // 2, 0)
    assert "again, because 120 new rows come to 120" in capsys.readouterr().err
    assert partition(labels(tmp_path / "run2")) == partition(labels(folder / "run"))
    former, names = loaded(str(tmp_path / "run")), labels(tmp_path / "run2")
    ids = {row: name for row, name in zip(former.ids.to_pylist(), former.row_id.tolist(), strict=True) if name != NO_ID}
    assert summary["changed_ids"] == sum(names[row] != name for row, name in ids.items()) < len(ids) / 10


@pytest.mark.slow
def test_an_interrupted_full_run_goes_on(folder, tmp_path, monkeypatch):
    from raycluster.identities import afresh

    order = Order((str(folder / "new.parquet"),), mode="full")
    with monkeypatch.context() as patch:
        patch.setattr(afresh, "published", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            update_run(str(folder / "run"), str(tmp_path / "full"), order)
    assert not (tmp_path / "full" / "MANIFEST.json").exists()
    update_run(str(folder / "run"), str(tmp_path / "full"), order)
    expected = update_run(str(folder / "run"), str(tmp_path / "other"), order)
    assert labels(tmp_path / "full") == labels(tmp_path / "other")
    assert expected["rows"] == ROWS


def test_what_cannot_be_taken_over(folder, tmp_path):
    source = pa.table({"id": pa.array(["a", "b"]), "embedding": pa.array(list(rows()[0][:2]), pa.list_(pa.float32()))})
    pq.write_table(source, tmp_path / "text.parquet")
    with pytest.raises(InputError, match=r"ids are string, but those of the run before are int64"):
        cluster_on(
            [str(tmp_path / "text.parquet")], str(tmp_path / "a"), config_of(), LOCAL, Legacy(str(folder / "run"))
        )
    legacy = Legacy(columns={"same": ["x"], "differ": ["x"]})
    with pytest.raises(ConfigError, match="named twice"):
        cluster_on([str(folder / "base.parquet")], str(tmp_path / "b"), config_of(), LOCAL, legacy)
    with pytest.raises(InputError, match="holds no finished run"):
        cluster_on([str(folder / "base.parquet")], str(tmp_path / "c"), config_of(), LOCAL, Legacy(str(tmp_path)))
