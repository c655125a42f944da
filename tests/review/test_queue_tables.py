"""Queue tables: there and back, and what an answer decides."""

import datetime

import pyarrow as pa
import pytest

from raycluster.errors import StorageError
from raycluster.identities import decisions
from raycluster.review import queue_tables
from raycluster.review.queue_tables import QueueItem
from raycluster.storage.object_store import Store

AT = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)


def item(ids_a, ids_b, kind="merge"):
    return QueueItem(0, kind, 4, 7, ids_a, ids_b, {"gain": 1.5, "pairs": 3, "kind": "near"}, 0.5)


@pytest.mark.parametrize(("ids", "kind"), [((1, 2, 3), pa.int64()), (("a", "b", "c"), pa.string())])
def test_items_survive_storage(tmp_path, ids, kind):
    store = Store(str(tmp_path))
    assert queue_tables.read_queue(store, "merge") is None
    items = [item(ids[:1], ids[1:]), item((), ids)]
    queue_tables.write_queue(store, "merge", queue_tables.table_of(items, kind))
    assert queue_tables.items_of(queue_tables.read_queue(store, "merge")) == items


def test_a_damaged_queue_is_named(tmp_path):
    (tmp_path / "review").mkdir()
    (tmp_path / "review" / "row.parquet").write_bytes(b"PAR1 no table")
    with pytest.raises(StorageError, match=r"row\.parquet was changed or damaged"):
        queue_tables.read_queue(Store(str(tmp_path)), "row")


def test_same_ties_all_rows_that_are_shown():
    assert queue_tables.decided_pairs(item((1, 2), (3, 1)), "same") == [(1, 2, True), (1, 3, True)]


def test_different_parts_both_sides():
    pairs = queue_tables.decided_pairs(item((1, 2), (3, 4)), "different")
    assert pairs == [(1, 3, False), (1, 4, False), (2, 3, False), (2, 4, False)]


def test_unsure_decides_nothing():
    assert queue_tables.decided_pairs(item((1, 2), (3, 4)), "unsure") == []


def test_decisions_are_what_an_update_reads():
    rows = queue_tables.decisions_of(item((1, 2), (3,)), "different", "ann", AT)
    table = decisions.checked(pa.Table.from_pylist(rows), pa.int64(), "decisions.parquet")
    assert table["same"].to_pylist() == [False, False]
    assert table["note"].to_pylist() == ["merge 0"] * 2
