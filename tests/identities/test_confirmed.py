"""Confirmed identities stay apart."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raycluster.identities.confirmed import kept_apart
from raycluster.identities.inheritance import inherit
from raycluster.identities.ties import Ties
from support.generations import before_of, numbered


def test_two_confirmed_identities_become_a_suggestion():
    before = before_of([4, 4, 4, 7, 7, 9, 9], 20, confirmed=[4, 7])
    cluster, suggestions = kept_apart(before, numbered([0] * 7))
    assert cluster.tolist() == [0, 0, 0, 1, 1, 0, 0]
    assert (suggestions.into.tolist(), suggestions.other.tolist(), suggestions.rows.tolist()) == ([4], [7], [2])
    assert inherit(before, cluster).ids.tolist() == [4, 7]


def test_a_person_may_merge_them():
    before = before_of([4, 4, 7, 7], 20, confirmed=[4, 7])
    cluster, suggestions = kept_apart(
        before, numbered([0] * 4), Ties.make(np.array([1, 2], np.int32), np.array([1, 1], np.int32), 4)
    )
    assert cluster.tolist() == [0] * 4
    assert len(suggestions.into) == 0


def test_a_single_row_that_moves_is_no_merge():
    before = before_of([4, 4, 7, 7, 7], 20, confirmed=[4, 7])
    labels = numbered([0, 0, 0, 1, 1])
    cluster, suggestions = kept_apart(before, labels)
    np.testing.assert_array_equal(cluster, labels)
    assert len(suggestions.into) == 0


def test_unconfirmed_identities_merge():
    before = before_of([4, 4, 7, 7], 20, confirmed=[4])
    np.testing.assert_array_equal(kept_apart(before, numbered([0] * 4))[0], [0] * 4)


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 4)), min_size=1, max_size=15), st.sets(st.integers(0, 4)))
def test_every_confirmed_id_stays_in_use_or_has_lost_its_cluster(rows, confirmed):
    """No two confirmed ids have most of their rows in one cluster, and none of them is retired by a merge."""
    row_id, cluster = np.array([row[0] for row in rows]), numbered([row[1] for row in rows])
    before = before_of(row_id, 5, confirmed & set(row_id.tolist()))
    result, suggestions = kept_apart(before, cluster)
    held = [np.bincount(result[row_id == name]) for name in before.confirmed]
    mains = [rows.argmax() for rows in held if (rows == rows.max()).sum() == 1]
    assert len(set(mains)) == len(mains)
    assert len(np.unique(result)) == len(np.unique(cluster)) + len(suggestions.into)
    assert (numbered(result) == result).all()
