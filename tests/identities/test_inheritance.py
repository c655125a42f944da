"""Ids of new clusters, against a plain loop over pairs, and over many generations."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raycluster.identities import lineage
from raycluster.identities.inheritance import NO_ID, Before, Former, inherit, overlaps
from support.generations import before_of, numbered

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=14)


def oracle(row_id, cluster, confirmed, next_id, with_singletons):
    """R1 to R5, pair by pair."""
    size = np.bincount(cluster)
    pairs = {}
    for name, own in zip(row_id.tolist(), cluster.tolist(), strict=True):
        if name >= 0 and (size[own] > 1 or with_singletons):
            pairs[name, own] = pairs.get((name, own), 0) + 1
    ids = {}
    for name, own in sorted(pairs, key=lambda pair: (pair[0] not in confirmed, -pairs[pair], *pair)):
        if own not in ids and name not in ids.values():
            ids[own] = name
    for own in range(len(size)):
        if own not in ids and (size[own] > 1 or with_singletons):
            ids[own], next_id = next_id, next_id + 1
    return [ids.get(own, NO_ID) for own in range(len(size))], next_id


@given(LABELS, st.data(), st.booleans(), st.sets(st.integers(0, 5), max_size=2))
def test_inheritance_goes_by_overlap(labels, data, with_singletons, confirmed):
    row_id = np.array(data.draw(st.lists(st.integers(-1, 5), min_size=len(labels), max_size=len(labels))))
    cluster = numbered(labels)
    before = before_of(row_id, 6, confirmed & set(row_id.tolist()))
    found = inherit(before, cluster, with_singletons=with_singletons)
    expected, next_id = oracle(row_id, cluster, confirmed, 6, with_singletons)
    assert (found.ids.tolist(), found.next_id) == (expected, next_id)
    assert set(found.retired.tolist()) == set(row_id[row_id >= 0].tolist()) - set(expected)


@given(st.lists(LABELS, min_size=2, max_size=6))
def test_ids_are_never_used_twice(generations):
    """Rows come and go; an id that is retired is never given to other rows."""
    row_id, next_id, ever, alive = np.empty(0, np.int64), 0, set(), set()
    for labels in generations:
        rows = min(len(row_id), len(labels))
        before = before_of(
            row_id[:rows], next_id, new=range(len(labels) - rows), gone=alive - set(row_id[:rows].tolist())
        )
        cluster = numbered(labels)
        found = inherit(before, cluster)
        given_ids = set(found.ids[found.ids >= 0].tolist())
        assert len(given_ids) == (found.ids >= 0).sum()
        assert not (given_ids - alive) & ever
        assert set(found.created.tolist()) == given_ids - alive
        ever |= given_ids
        row_id, next_id, alive = found.of_rows(cluster), found.next_id, given_ids
        assert next_id == max(ever, default=-1) + 1


@given(LABELS)
def test_nothing_changed_keeps_every_id(labels):
    cluster = numbered(labels)
    first = inherit(Before.nothing(len(labels)), cluster)
    assert (np.diff(first.ids[first.ids >= 0]) == 1).all()
    again = inherit(before_of(first.of_rows(cluster), first.next_id), cluster)
    np.testing.assert_array_equal(again.ids, first.ids)
    assert (again.next_id, len(again.retired), len(again.created)) == (first.next_id, 0, 0)


def test_a_merge_keeps_the_id_that_holds_most_and_a_split_goes_to_the_largest_part():
    merged = inherit(before_of([7, 7, 4, 4, 4, 9, 9], 20), numbered([0, 0, 0, 0, 0, 1, 1]))
    assert (merged.ids.tolist(), merged.retired.tolist(), merged.heir.tolist()) == ([4, 9], [7], [4])
    split = inherit(before_of([7] * 7, 20), numbered([0, 0, 1, 1, 1, 2, 2]))
    assert split.ids.tolist() == [20, 7, 21]


def test_ties_go_to_the_older_id_and_the_lower_cluster():
    assert inherit(before_of([7, 7, 4, 4], 20), numbered([0, 0, 0, 0])).ids.tolist() == [4]
    assert inherit(before_of([7, 7, 7, 7], 20), numbered([0, 0, 1, 1])).ids.tolist() == [7, 20]


def test_a_confirmed_id_wins_over_a_larger_one():
    found = inherit(before_of([7, 4, 4, 4], 20, confirmed=[7]), numbered([0, 0, 0, 0]))
    assert (found.ids.tolist(), found.retired.tolist(), found.heir.tolist()) == ([7], [4], [7])


def test_an_id_without_rows_has_no_heir():
    found = inherit(before_of([4, 4, 5], 20, gone=[2]), numbered([0, 0, 1]))
    assert (found.retired.tolist(), found.heir.tolist()) == ([2, 5], [NO_ID, NO_ID])


def test_rows_that_are_alone_have_ids_only_where_wanted():
    cluster = numbered([0, 1, 1, 2])
    assert inherit(Before.nothing(4), cluster).ids.tolist() == [NO_ID, 0, NO_ID]
    assert inherit(Before.nothing(4), cluster, with_singletons=True).ids.tolist() == [0, 1, 2]


@given(LABELS, st.integers(0, 20), st.integers(0, 20))
def test_undoing_a_merge_restores_both_ids(labels, one, other):
    """Two clusters are merged and parted again: ids as at the start, whatever their sizes."""
    cluster = numbered(labels)
    first = inherit(Before.nothing(len(labels)), cluster)
    start = first.of_rows(cluster)
    count = cluster.max() + 1
    joined = numbered(np.where(cluster == one % count, other % count, cluster))
    merged = inherit(before_of(start, first.next_id), joined)
    rows = np.flatnonzero(np.isin(start, merged.retired))
    undone = inherit(
        before_of(merged.of_rows(joined), merged.next_id), cluster, Former(rows.astype(np.int32), start[rows])
    )
    np.testing.assert_array_equal(undone.of_rows(cluster), start)
    np.testing.assert_array_equal(undone.restored, merged.retired)


@given(st.integers(1, 12).flatmap(lambda rows: st.lists(st.lists(st.integers(0, 4), min_size=rows, max_size=rows))))
def test_no_further_row_changes_its_id_for_an_id_that_comes_back(generations):
    """Over generations of the same rows, whose retired ids may come back, changes are those of the greedy assignment."""
    row_id, next_id, former = np.full(len(generations[0]) if generations else 0, NO_ID), 0, Former.nothing()
    for labels in generations:
        before, cluster = before_of(row_id, next_id), numbered(labels)
        after, greedy = inherit(before, cluster, former), inherit(before, cluster)
        assert lineage.churn(before, cluster, after, greedy).avoidable == 0
        assert len(set(after.ids[after.ids >= 0].tolist())) == (after.ids >= 0).sum()
        # An id that comes back has exactly its rows.
        row_of = {name: set(former.row[former.id == name].tolist()) for name in after.restored.tolist()}
        assert row_of == {name: set(np.flatnonzero(after.of_rows(cluster) == name).tolist()) for name in row_of}
        rows = np.flatnonzero(np.isin(row_id, after.retired)).astype(np.int32)
        stays = ~np.isin(former.id, after.restored)
        former = Former(np.concatenate([former.row[stays], rows]), np.concatenate([former.id[stays], row_id[rows]]))
        row_id, next_id = after.of_rows(cluster), after.next_id


def test_an_id_that_comes_back_takes_no_rows_from_one_in_use():
    """Rows 0 and 1 had the id 3 and have 5 now, which stays with them where it has no more rows elsewhere."""
    former = Former(np.array([0, 1], np.int32), np.array([3, 3]))
    assert inherit(before_of([5, 5, 5, 7, 7], 20), numbered([0, 0, 1, 2, 2]), former).ids.tolist() == [5, NO_ID, 7]
    assert inherit(before_of([5, 5, 5, 5, 5], 20), numbered([0, 0, 1, 1, 1]), former).ids.tolist() == [3, 5]
    assert inherit(before_of([5, 5, 5, 5, 7, 7, 7], 20), numbered([0, 0, 1, 1, 1, 1, 1]), former).ids.tolist() == [5, 7]


def test_an_id_comes_back_only_with_exactly_its_rows():
    former = Former(np.array([0, 1], np.int32), np.array([3, 3]))
    before = before_of([5, 5, 5, 5], 20)
    assert inherit(before, numbered([0, 0, 1, 1]), former).ids.tolist() == [3, 5]
    assert inherit(before, numbered([0, 0, 0, 1]), former).ids.tolist() == [5, NO_ID]
    assert inherit(before, numbered([0, 1, 2, 2]), former).ids.tolist() == [NO_ID, NO_ID, 5]
    with_new = before_of([5, 5, 5, 5], 20, new=[0])
    assert inherit(with_new, numbered([0, 0, 1, 1, 0]), former).ids.tolist() == [3, 5]
    in_use = before_of([3, 3, 5, 5], 20)
    assert inherit(in_use, numbered([0, 0, 1, 1]), former).restored.tolist() == []


def test_overlaps_count_rows_with_an_id():
    found = overlaps(np.array([5, 5, NO_ID, 3, 5]), numbered([0, 1, 1, 1, 1]))
    assert list(zip(found.id.tolist(), found.cluster.tolist(), found.rows.tolist(), strict=True)) == [
        (3, 1, 1),
        (5, 0, 1),
        (5, 1, 2),
    ]
