import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import KINDS, assert_same, awkward_rows, brute_force_top_k, identities, pair_similarities, unit_rows
from raycluster.graph import inverted_file
from raycluster.graph.inverted_file import InvertedFile, assign_lists, probe_top_k, train_centroids
from raycluster.graph.nearest import exact_top_k


def rows_of(vectors):
    return np.arange(len(vectors), dtype=np.int32)


def build(vectors, lists, seed=0):
    centroids = train_centroids(vectors.astype(np.float32), lists, seed)
    return InvertedFile.group(centroids, assign_lists(vectors, centroids))


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(KINDS), st.integers(3, 120), st.integers(1, 12), st.integers(1, 8), st.sampled_from(["f4", "f2"])
)
def test_probing_every_list_equals_the_exact_search(kind, rows, lists, k, storage):
    vectors = awkward_rows(kind, rows, 11, rows).astype(storage)
    lists, k = min(lists, rows), min(k, rows)
    index = build(vectors, lists)
    assert_same(
        probe_top_k(vectors, rows_of(vectors), vectors, index, lists, k),
        exact_top_k(vectors, rows_of(vectors), vectors, k),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_probing_some_lists_equals_brute_force_over_their_members(monkeypatch, kind):
    vectors = awkward_rows(kind, 140, 9, 2)
    index = build(vectors, 10)
    probed = exact_top_k(vectors, np.full(140, -1, np.int32), index.centroids, 3)[0]
    list_of = assign_lists(vectors, index.centroids)
    allowed = (list_of[None, :, None] == probed[:, None, :]).any(axis=2)
    expected = brute_force_top_k(vectors, rows_of(vectors), vectors, 12, allowed)
    assert_same(probe_top_k(vectors, rows_of(vectors), vectors, index, 3, 12), expected)
    monkeypatch.setattr(inverted_file, "QUERY_BLOCK", 31)
    assert_same(probe_top_k(vectors, rows_of(vectors), vectors, index, 3, 12, threads=2), expected)
    part = probe_top_k(vectors[40:60], rows_of(vectors)[40:60], vectors, index, 3, 12)
    assert_same(part, (expected[0][40:60], expected[1][40:60]))


def test_a_crowd_larger_than_the_candidate_buffer_is_ranked_within_the_probed_lists():
    vectors = np.concatenate([np.repeat(unit_rows(1, 8, 0), 400, axis=0), unit_rows(100, 8, 1)])
    index = build(vectors, 5)
    neighbor, _ = probe_top_k(vectors, rows_of(vectors), vectors, index, 2, 4)
    assert neighbor[399].tolist() == [399, 0, 1, 2]
    assert neighbor[1].tolist() == [1, 0, 2, 3]


def test_recall_grows_with_probes_up_to_all_of_it():
    vectors, _ = identities(60, 10, spread=0.9)
    index = build(vectors, 24)
    exact, _ = exact_top_k(vectors, rows_of(vectors), vectors, 10)
    recalls = []
    for probes in (1, 2, 4, 8, 24):
        found, _ = probe_top_k(vectors, rows_of(vectors), vectors, index, probes, 10)
        recalls.append(
            np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact.tolist(), found.tolist(), strict=True)])
        )
    assert recalls == sorted(recalls)
    assert recalls[0] < 0.9
    assert recalls[-1] == 1


def test_lists_with_fewer_members_than_k_leave_minus_one():
    vectors = np.concatenate([np.repeat(row[None], 3, axis=0) for row in np.eye(4, dtype=np.float32)])
    index = build(vectors, 4)
    assert np.diff(index.offsets).tolist() == [3, 3, 3, 3]
    neighbor, similarity = probe_top_k(vectors, rows_of(vectors), vectors, index, 1, 5)
    assert neighbor[4].tolist() == [4, 3, 5, -1, -1]
    assert similarity[4].tolist() == [1, 1, 1, -1, -1]
    assert ((neighbor == -1) == (similarity == -1)).all()


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
    monkeypatch.setattr("raycluster.graph.nearest.QUERY_BLOCK", 37)
    monkeypatch.setattr("raycluster.graph.nearest.DATABASE_TILE", 5)
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
