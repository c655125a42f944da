"""Events between two clusterings, aliases, churn."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from raycluster.identities import lineage
from raycluster.identities.inheritance import NO_ID, Before, Former, inherit
from support.generations import before_of, numbered


def happened(before, labels, former=None):
    cluster = numbered(labels)
    table = lineage.events(before, cluster, inherit(before, cluster, former), "run2")
    assert table.schema == lineage.LINEAGE
    names = ("event", "old_id", "new_id", "rows", "old_size", "new_size")
    return [tuple(row[name] for name in names) for row in table.to_pylist()]


def test_each_kind_of_event():
    assert happened(Before.nothing(3), [0, 0, 1]) == [("created", None, 0, 2, None, 2)]
    assert happened(before_of([4, 4], 9, new=[0]), [0, 0, 0]) == [("grown", 4, 4, 1, 2, 3)]
    assert happened(before_of([4, 4, 4], 9), [0, 0, 1]) == [("shrunk", 4, 4, 1, 3, 2)]
    assert happened(before_of([4, 4, 6, 6, 6], 9), [0] * 5) == [("merged", 4, 6, 2, 2, 5)]
    assert happened(before_of([4] * 5, 9), [0, 0, 0, 1, 1]) == [
        ("created", None, 9, 2, None, 2),
        ("split", 4, 9, 2, 5, 2),
    ]
    assert happened(before_of([4, 4, 4, 6, 6], 9), [0, 0, 1, 1, 1]) == [("moved", 4, 6, 1, 3, 3)]
    assert happened(before_of([4, 4], 9, gone=[2]), [0, 0]) == [("retired", 2, None, 0, 1, None)]
    former = Former(np.array([0, 1], np.int32), np.array([3, 3]))
    assert happened(before_of([5] * 5, 9), [0, 0, 1, 1, 1], former) == [("restored", 5, 3, 2, 5, 2)]


def test_a_retired_id_merges_with_its_heir_and_moves_elsewhere():
    before = before_of([4, 4, 4, 6, 6, 6, 8, 8, 8], 9)
    assert happened(before, [0, 0, 1, 0, 0, 0, 1, 1, 1]) == [("merged", 4, 6, 2, 3, 5), ("moved", 4, 8, 1, 3, 4)]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=14))
def test_nothing_changed_leaves_no_event(labels):
    cluster = numbered(labels)
    first = inherit(Before.nothing(len(labels)), cluster)
    assert happened(before_of(first.of_rows(cluster), first.next_id), labels) == []


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 4), st.booleans()), min_size=1, max_size=15))
def test_rows_of_events_add_up_to_the_sizes(rows):
    """Old size, less what left, plus what came, is the new size of each id that stays."""
    rows = sorted(rows, key=lambda row: row[2])
    row_id = np.array([NO_ID if is_new else name for name, _, is_new in rows])
    before = before_of(
        [one for one, row in zip(row_id, rows, strict=True) if not row[2]], 5, new=[0] * sum(r[2] for r in rows)
    )
    labels = [row[1] for row in rows]
    cluster = numbered(labels)
    ids = inherit(before, cluster).ids
    found = happened(before, labels)
    for name in np.intersect1d(before.ids, ids):
        size = (before.row_id == name).sum()
        for event, old, new, count, *_ in found:
            if event == "grown" and new == name:
                size += count
            elif event == "shrunk" and old == name:
                size -= count
            elif event in ("merged", "moved", "split"):
                size += count * (int(new == name) - int(old == name))
        assert size == np.bincount(cluster)[np.flatnonzero(ids == name)[0]]


def test_summary_counts_old_clusters():
    before = before_of([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, NO_ID], 9, new=[0])
    labels = [0, 0, 1, 1, 1, 1, 2, 3, 4, 4, 5, 5, 0]
    assert lineage.summary(before, numbered(labels)) == lineage.Summary(1, 3, 1, 1)


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 4)), min_size=1, max_size=15))
def test_every_old_cluster_counts_once(rows):
    before = before_of([row[0] for row in rows], 5)
    found = lineage.summary(before, numbered([row[1] for row in rows]))
    expected = len(before.ids) + sum(row[0] == NO_ID for row in rows)
    assert found.unchanged + found.merged + found.partitioned + found.overlapping == expected


def test_churn_is_what_overlaps_cost_and_no_more():
    before = before_of([4, 4, 6, 6, 6, 8], 9, confirmed=[4])
    cluster = numbered([0, 0, 0, 0, 0, 0])
    greedy = inherit(before_of([4, 4, 6, 6, 6, 8], 9), cluster)
    assert lineage.churn(before, cluster, greedy, greedy) == lineage.Churn(3, 3)
    assert lineage.churn(before, cluster, inherit(before, cluster), greedy).avoidable == 1


def test_aliases_resolve_for_ever():
    none = lineage.ALIASES.empty_table()
    first = inherit(before_of([4, 4, 6, 6, 6], 9), numbered([0] * 5))
    one = lineage.aliases(none, first, "run2")
    second = inherit(before_of([6] * 5 + [8] * 6, 9, gone=[1]), numbered([0] * 11))
    two = lineage.aliases(one, second, "run3")
    assert two.to_pylist() == [
        {"id": 1, "into": None, "run": "run3"},
        {"id": 4, "into": 6, "run": "run2"},
        {"id": 6, "into": 8, "run": "run3"},
    ]
    assert lineage.resolved(two, np.array([4, 6, 8, 1, 77])).tolist() == [8, 8, 8, NO_ID, 77]
    former = Former(np.array([0, 1], np.int32), np.array([4, 4]))
    back = inherit(before_of([8] * 11, 9), numbered([0, 0] + [1] * 9), former)
    three = lineage.aliases(two, back, "run4")
    assert three["id"].to_pylist() == [1, 6]
    assert lineage.resolved(three, np.array([4, 6])).tolist() == [4, 8]
    assert lineage.resolved(none, np.array([3])).tolist() == [3]
    assert isinstance(three, pa.Table)
