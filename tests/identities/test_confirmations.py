"""Clusters that people have confirmed."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.errors import InputError
from raycluster.identities.afresh import Legacy
from raycluster.identities.confirmations import confirm, confirmed_in
from raycluster.identities.corrections import merge
from raycluster.identities.inheritance import NO_ID
from raycluster.identities.job import Order, cluster_on, in_words, update_run
from raycluster.identities.layers import loaded
from raycluster.pipeline.run import cluster
from raycluster.storage.object_store import Store
from support.living import BASE, config_of, rows

LOCAL = Execution("local")


def written(path, numbers):
    vectors = pa.array(list(rows()[0][list(numbers)]), pa.list_(pa.float32()))
    pq.write_table(pa.table({"id": pa.array(list(numbers)), "embedding": vectors}), path)
    return str(path)


def labels(folder):
    table = pq.read_table(sorted((folder / "labels").glob("*.parquet")))
    return dict(zip(table["id"].to_pylist(), table["cluster_id"].fill_null(NO_ID).to_pylist(), strict=True))


@pytest.fixture
def run(tmp_path):
    cluster(written(tmp_path / "base.parquet", range(BASE)), str(tmp_path / "run"), config_of(), LOCAL)
    return tmp_path / "run"


def test_confirmed_ids_go_from_run_to_run(run, tmp_path):
    one, other = sorted(set(labels(run).values()))[:2]
    assert confirm(str(run), [one]) == 1
    assert confirm(str(run), [other, one]) == 2
    assert confirm(str(run), [other], is_withdrawn=True) == 1
    update_run(str(run), f"{run}2", Order((written(tmp_path / "n.parquet", range(BASE, BASE + 20)),), threads=1))
    assert confirmed_in(Store(f"{run}2")).tolist() == loaded(f"{run}2").confirmed.tolist() == [one]
    with pytest.raises(InputError, match="There is nothing to update"):
        update_run(f"{run}2", f"{run}3", Order(threads=1))
    confirm(f"{run}2", [one], is_withdrawn=True)
    update_run(f"{run}2", f"{run}3", Order(threads=1))
    assert loaded(f"{run}3").confirmed.tolist() == []
    assert confirmed_in(Store(f"{run}3")) is None


def test_confirmed_clusters_never_merge_by_themselves(run, tmp_path):
    """At a limit of 0 everything would be one cluster."""
    names, before = sorted(set(labels(run).values()))[:2], labels(run)
    confirm(str(run), names)
    loose = config_of(edges={"threshold": -0.9}, knn={"k": BASE - 1})
    inputs = [str(tmp_path / "base.parquet")]
    plain = cluster_on(inputs, str(tmp_path / "free"), loose, LOCAL, Legacy(previous=None))
    assert plain["clusters"] == 1
    summary = cluster_on(inputs, f"{run}2", loose, LOCAL, Legacy(previous=str(run)))
    after = labels(tmp_path / "run2")
    assert summary["suggestions"] == 1
    assert "1 merges of confirmed clusters are left out; suggestions.parquet has them" in in_words(summary)
    for name in names:
        members = [row for row in before if before[row] == name]
        assert {after[row] for row in members} == {name}
    left_out = pq.read_table(tmp_path / "run2" / "suggestions.parquet").to_pylist()
    assert [{line["into"], line["other"]} for line in left_out] == [set(names)]
    # A person may merge them.
    merge(f"{run}2", *names)
    update_run(f"{run}2", f"{run}3", Order(threads=1))
    last = labels(tmp_path / "run3")
    assert len({last[row] for row in before if before[row] in names}) == 1


def test_what_cannot_be_confirmed(run):
    with pytest.raises(InputError, match=r"has no cluster 1000000\."):
        confirm(str(run), [10**6])
    gone = [row for row in range(BASE) if labels(run)[row] == labels(run)[0]][1:]
    pq.write_table(pa.table({"id": pa.array(gone)}), run.parent / "gone.parquet")
    update_run(str(run), f"{run}2", Order((), str(run.parent / "gone.parquet"), threads=1))
    with pytest.raises(InputError, match=f"Cluster {labels(run)[0]} of .* is retired"):
        confirm(f"{run}2", [labels(run)[0]])
    Store(str(run)).put_tables("confirmed.parquet", [pa.table({"id": pa.array(["x"])})])
    with pytest.raises(InputError, match="needs one column, cluster_id, of whole numbers"):
        update_run(str(run), f"{run}4", Order((), str(run.parent / "gone.parquet"), threads=1))
    assert np.array_equal(loaded(f"{run}2").confirmed, [])
