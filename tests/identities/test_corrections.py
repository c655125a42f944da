"""merge, split and undo write decisions, and an update puts them in force."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.errors import InputError
from raycluster.identities.corrections import merge, split, undo
from raycluster.identities.inheritance import NO_ID
from raycluster.identities.job import Order, update_run
from raycluster.pipeline.run import cluster
from support.living import BASE, config_of, rows


def labels(folder):
    table = pq.read_table(sorted((folder / "labels").glob("*.parquet")))
    return dict(zip(table["id"].to_pylist(), table["cluster_id"].fill_null(NO_ID).to_pylist(), strict=True))


@pytest.fixture
def run(tmp_path):
    vectors = pa.array(list(rows()[0][:BASE]), pa.list_(pa.float32()))
    ids = pa.array([f"r{row:03d}" for row in range(BASE)])
    pq.write_table(pa.table({"id": ids, "embedding": vectors}), tmp_path / "base.parquet")
    cluster(str(tmp_path / "base.parquet"), str(tmp_path / "run"), config_of(), Execution("local"))
    return tmp_path / "run"


def large_ones(run, count):
    """Names of the largest clusters, and their rows."""
    members = {}
    for row, name in labels(run).items():
        members.setdefault(name, set()).add(row)
    ordered = sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))
    return ordered[:count]


def test_a_merge_makes_one_identity_of_all_rows_and_undo_restores_both(run):
    (one, rows_of_one), (other, rows_of_other) = large_ones(run, 2)
    before = {path: path.read_bytes() for path in (run / "labels").glob("*")}
    assert merge(str(run), one, other, "ann") == len(rows_of_one) + len(rows_of_other) - 1
    assert {path: path.read_bytes() for path in (run / "labels").glob("*")} == before
    update_run(str(run), str(run) + "2", Order(threads=1))
    after = labels(run.with_name("run2"))
    assert len({after[row] for row in rows_of_one | rows_of_other}) == 1
    assert sum(name == after[min(rows_of_one)] for name in after.values()) == len(rows_of_one | rows_of_other)
    assert undo(str(run) + "2") == len(rows_of_one) + len(rows_of_other) - 1
    update_run(str(run) + "2", str(run) + "3", Order(threads=1))
    restored = labels(run.with_name("run3"))
    assert {restored[row] for row in rows_of_one} == {one}
    assert {restored[row] for row in rows_of_other} == {other}


def test_a_split_takes_the_named_rows_out_together(run):
    (name, members), *_ = large_ones(run, 1)
    leaving = sorted(members)[:2]
    assert split(str(run), name, leaving) == 1 + len(members) - 2
    update_run(str(run), str(run) + "2", Order(threads=1))
    after = labels(run.with_name("run2"))
    assert after[leaving[0]] == after[leaving[1]] != NO_ID
    assert after[leaving[0]] not in {after[row] for row in members - set(leaving)}


def test_undo_takes_back_one_correction_at_a_time(run):
    (one, _), (other, _), (third, members) = large_ones(run, 3)
    merged = merge(str(run), one, other)
    parted = split(str(run), third, [min(members)])
    assert undo(str(run)) == parted
    table = pq.read_table(run / "decisions.parquet")
    assert table.num_rows == merged
    assert set(table["note"].to_pylist()) == {f"merge {one} {other}"}
    assert undo(str(run)) == merged
    with pytest.raises(InputError, match="has no decision to undo"):
        undo(str(run))
    with pytest.raises(InputError, match="nothing to update"):
        update_run(str(run), str(run) + "2", Order(threads=1))


def test_a_retired_id_stands_for_its_heir(run):
    (one, _), (other, _), (third, members) = large_ones(run, 3)
    merge(str(run), one, other)
    update_run(str(run), str(run) + "2", Order(threads=1))
    after = labels(run.with_name("run2"))
    heir, retired = (one, other) if one in after.values() else (other, one)
    assert retired not in after.values()
    with pytest.raises(
        InputError, match=f"Cluster {retired} cannot be merged with {heir}; both are cluster {heir} now"
    ):
        merge(str(run) + "2", retired, heir)
    whole = {row for row, name in after.items() if name == heir}
    assert split(str(run) + "2", retired, sorted(whole)[:2]) == len(whole) - 2 + 1
    assert undo(str(run) + "2") == len(whole) - 2 + 1
    assert merge(str(run) + "2", retired, third) == len(whole) + len(members) - 1
    update_run(str(run) + "2", str(run) + "3", Order(threads=1))
    last = labels(run.with_name("run3"))
    assert len({last[row] for row in whole | members}) == 1
    gone = pa.table({"id": pa.array(sorted(whole | members))})
    pq.write_table(gone, run.with_name("gone.parquet"))
    update_run(str(run) + "3", str(run) + "4", Order((), str(run.with_name("gone.parquet")), threads=1))
    with pytest.raises(InputError, match=f"Cluster {retired} of .* is retired, and its rows are gone or stand alone"):
        merge(str(run) + "4", retired, max(labels(run.with_name("run4")).values()))


def test_what_cannot_be_corrected(run):
    (one, members), (_, others) = large_ones(run, 2)
    for call, words in [
        (lambda: merge(str(run), one, one), "with itself"),
        (lambda: merge(str(run), one, 10**9), "has no cluster 1000000000"),
        (lambda: split(str(run), one, [min(others)]), f"row {min(others)} is not in cluster {one}"),
        (lambda: split(str(run), one, sorted(members)), "rows that leave and rows that stay"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
    assert not (run / "decisions.parquet").exists()
