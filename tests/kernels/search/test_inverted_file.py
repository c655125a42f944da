import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.search import inverted_file
from raycluster.kernels.search.inverted_file import InvertedFile, assign_lists, train_centroids
from support.data import KINDS, awkward_rows, identities, pair_similarities, unit_rows


def test_group_keeps_members_ascending_and_empty_lists_empty():
    index = InvertedFile.group(np.eye(4, dtype=np.float32), np.array([2, 0, 2, 3, 0, 2], np.int32))
    assert index.members.tolist() == [1, 4, 0, 2, 5, 3]
    assert index.offsets.tolist() == [0, 2, 2, 5, 6]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(KINDS), st.integers(1, 80), st.integers(1, 20), st.integers(0, 1000))
def test_assign_lists_picks_the_nearest_centroid_and_the_lowest_of_equals(kind, rows, lists, seed):
    vectors = awkward_rows(kind, rows, 7, seed)
    centroids = awkward_rows(kind, lists, 7, seed + 1)
    expected = pair_similarities(vectors, centroids).argmax(axis=1)
    found = assign_lists(vectors, centroids)
    assert found.dtype == np.int32
    assert found.tolist() == expected.tolist()
    assert assign_lists(vectors, centroids, threads=2).tolist() == expected.tolist()


def test_centroids_are_the_same_for_any_threads_and_differ_by_seed(monkeypatch):
    vectors, _ = identities(30, 20)
    expected = train_centroids(vectors, 17, seed=4)
    monkeypatch.setattr("raycluster.kernels.search.nearest.QUERY_BLOCK", 37)
    monkeypatch.setattr("raycluster.kernels.search.nearest.DATABASE_TILE", 5)
    for threads in (1, 2):
        np.testing.assert_array_equal(train_centroids(vectors, 17, 4, threads), expected)
    assert not np.array_equal(train_centroids(vectors, 17, 5), expected)


def test_centroids_equal_a_plain_spherical_k_means():
    vectors, _ = identities(8, 30, spread=0.8)
    centroids = vectors[np.sort(np.random.default_rng(3).choice(240, 6, replace=False))].astype(np.float64)
    for _ in range(inverted_file.ITERATIONS):
        nearest = (vectors @ centroids.astype(np.float32).T).argmax(axis=1)
        sums = np.array([vectors[nearest == c].sum(axis=0, dtype=np.float64) for c in range(6)])
        centroids = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    found = train_centroids(vectors, 6, seed=3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, centroids, atol=1e-6)


def test_lists_that_empty_are_restarted_at_the_farthest_rows():
    corners = np.eye(6, dtype=np.float32)
    sample = np.concatenate([np.repeat(corners[:1], 200, axis=0), corners[1:]])
    centroids = train_centroids(sample, 6, seed=0)
    assert np.bincount(assign_lists(sample, centroids), minlength=6).tolist().count(0) == 0
    assert sorted(centroids.argmax(axis=1).tolist()) == [0, 1, 2, 3, 4, 5]
    assert np.allclose(np.sort(centroids, axis=1)[:, -1], 1)


def test_as_many_lists_as_rows_and_identical_rows_still_train():
    same = np.repeat(unit_rows(1, 5, 0), 9, axis=0)
    centroids = train_centroids(same, 9, seed=0)
    np.testing.assert_allclose(centroids, same, atol=1e-7)
    distinct = unit_rows(9, 5, 1)
    assert sorted(assign_lists(distinct, train_centroids(distinct, 9, seed=0)).tolist()) == list(range(9))


def test_the_list_of_each_row_is_that_it_was_grouped_by():
    lists = np.array([2, 0, 2, 3, 0, 2], np.int32)
    index = InvertedFile.group(np.eye(4, dtype=np.float32), lists)
    assert index.list_of_rows().tolist() == lists.tolist()
    assert index.sizes.tolist() == [2, 0, 3, 1]
    assert [index.rows_of(number).tolist() for number in range(4)] == [[1, 4], [], [0, 2, 5], [3]]
