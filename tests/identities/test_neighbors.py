"""Neighbor lists after a change, against a search of all rows."""

import numpy as np
import pytest

from raycluster.identities.neighbors import after_change
from raycluster.identities.state import Lists, Reading
from raycluster.kernels.search.inverted_file import assign_lists, train_centroids
from raycluster.kernels.search.nearest import exact_top_k
from support.living import rows

K = 10


def searched(vectors):
    return exact_top_k(vectors, np.arange(len(vectors), dtype=np.int32), vectors, K)


@pytest.mark.parametrize("with_lists", [False, True])
def test_new_rows_enter_the_lists_that_they_beat(with_lists):
    vectors = rows()[0]
    reading = None
    if with_lists:
        centroids = train_centroids(vectors, 4, 0)
        reading = Reading(centroids, assign_lists(vectors, centroids), {"exact": False, "nearest": 4, "margin": None})
    lists = Lists(*searched(vectors[:270]), None)
    found = after_change(vectors, np.ones(300, bool), 270, lists, reading, -1.0, 1)
    neighbor, similarity = searched(vectors)
    np.testing.assert_array_equal(found.neighbor[270:], neighbor[270:])
    assert (found.neighbor == neighbor).mean() > 0.97
    np.testing.assert_array_equal(found.similarity[270:], similarity[270:])
    changed = (found.neighbor[:270] != lists.neighbor).any(axis=1)
    np.testing.assert_array_equal(found.is_changed[:270], changed)
    assert (np.diff(found.similarity, axis=1) <= 0).all()
    assert found.num_searched == 30


def test_full_lists_stay_where_few_rows_are_new():
    vectors = rows()[0]
    lists = Lists(*searched(vectors[:290]), None)
    floor = float(np.median(lists.similarity[:, -1]))
    found = after_change(vectors, np.ones(300, bool), 290, lists, None, floor, 1)
    neighbor, similarity = searched(vectors)
    is_full = lists.similarity[:, -1] >= floor
    np.testing.assert_array_equal(found.neighbor[:290][is_full], lists.neighbor[is_full])
    matters = similarity[:290][~is_full] >= floor
    same = found.neighbor[:290][~is_full][matters] == neighbor[:290][~is_full][matters]
    assert same.mean() > 0.97
    assert found.is_changed[:290][~is_full].any()


def test_strangers_change_no_list():
    vectors = rows()[0]
    lists = Lists(*searched(vectors[:270]), None)
    found = after_change(vectors, np.ones(300, bool), 270, lists, None, 0.5, 1)
    entered = np.flatnonzero(found.is_changed[:270])
    assert 0 < len(entered) < 200
    for row in range(270):
        new = found.neighbor[row] >= 270
        assert (found.similarity[row][new] >= 0.5).all()
        assert new.any() == found.is_changed[row]


def test_removed_rows_leave_all_lists_and_what_mattered_is_searched_again():
    vectors, is_alive = rows()[0], np.ones(300, bool)
    is_alive[[4, 90]] = False
    lists = Lists(*searched(vectors), None)
    found = after_change(vectors, is_alive, 300, lists, None, 0.5, 1)
    assert not np.isin(found.neighbor, [4, 90]).any()
    live = np.flatnonzero(is_alive).astype(np.int32)
    neighbor, _ = exact_top_k(vectors[live], np.arange(298, dtype=np.int32), vectors[live], K)
    expected = np.full((300, K), -1, np.int32)
    expected[live] = live[neighbor]
    mattered = ((lists.neighbor == 4) | (lists.neighbor == 90)) & (lists.similarity >= 0.5)
    np.testing.assert_array_equal(found.is_changed, mattered.any(axis=1))
    np.testing.assert_array_equal(found.neighbor[found.is_changed], expected[found.is_changed])
    assert found.num_searched == found.is_changed[live].sum()
