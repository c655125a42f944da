import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.search import list_search
from raycluster.kernels.search.inverted_file import InvertedFile, assign_lists
from raycluster.kernels.search.list_search import Probing, list_top_k
from raycluster.kernels.search.nearest import exact_top_k
from support.data import (
    KINDS,
    assert_same,
    awkward_rows,
    brute_force_top_k,
    identities,
    inverted_file,
    pair_similarities,
    rows_of,
    unit_rows,
)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(KINDS), st.integers(3, 120), st.integers(1, 12), st.integers(1, 8), st.sampled_from(["f4", "f2"])
)
def test_probing_every_list_equals_the_exact_search(kind, rows, lists, k, storage):
    vectors = awkward_rows(kind, rows, 11, rows).astype(storage)
    lists, k = min(lists, rows), min(k, rows)
    index = inverted_file(vectors, lists)
    assert_same(
        list_top_k(vectors, rows_of(vectors), vectors, index, Probing(lists), k),
        exact_top_k(vectors, rows_of(vectors), vectors, k),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_probing_some_lists_equals_brute_force_over_their_members(monkeypatch, kind):
    vectors = awkward_rows(kind, 140, 9, 2)
    index = inverted_file(vectors, 10)
    probed = exact_top_k(vectors, np.full(140, -1, np.int32), index.centroids, 3)[0]
    list_of = assign_lists(vectors, index.centroids)
    allowed = (list_of[None, :, None] == probed[:, None, :]).any(axis=2)
    expected = brute_force_top_k(vectors, rows_of(vectors), vectors, 12, allowed)
    assert_same(list_top_k(vectors, rows_of(vectors), vectors, index, Probing(3), 12), expected)
    monkeypatch.setattr(list_search, "QUERY_BLOCK", 31)
    assert_same(list_top_k(vectors, rows_of(vectors), vectors, index, Probing(3), 12, threads=2), expected)
    part = list_top_k(vectors[40:60], rows_of(vectors)[40:60], vectors, index, Probing(3), 12)
    assert_same(part, (expected[0][40:60], expected[1][40:60]))


def test_a_crowd_larger_than_the_candidate_buffer_is_ranked_within_the_probed_lists():
    vectors = np.concatenate([np.repeat(unit_rows(1, 8, 0), 400, axis=0), unit_rows(100, 8, 1)])
    index = inverted_file(vectors, 5)
    neighbor, _ = list_top_k(vectors, rows_of(vectors), vectors, index, Probing(2), 4)
    assert neighbor[399].tolist() == [399, 0, 1, 2]
    assert neighbor[1].tolist() == [1, 0, 2, 3]


def test_recall_grows_with_probes_up_to_all_of_it():
    vectors, _ = identities(60, 10, spread=0.9)
    index = inverted_file(vectors, 24)
    exact, _ = exact_top_k(vectors, rows_of(vectors), vectors, 10)
    recalls = []
    for probes in (1, 2, 4, 8, 24):
        found, _ = list_top_k(vectors, rows_of(vectors), vectors, index, Probing(probes), 10)
        recalls.append(
            np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact.tolist(), found.tolist(), strict=True)])
        )
    assert recalls == sorted(recalls)
    assert recalls[0] < 0.9
    assert recalls[-1] == 1


def test_lists_with_fewer_members_than_k_leave_minus_one():
    vectors = np.concatenate([np.repeat(row[None], 3, axis=0) for row in np.eye(4, dtype=np.float32)])
    index = inverted_file(vectors, 4)
    assert np.diff(index.offsets).tolist() == [3, 3, 3, 3]
    neighbor, similarity = list_top_k(vectors, rows_of(vectors), vectors, index, Probing(1), 5)
    assert neighbor[4].tolist() == [4, 3, 5, -1, -1]
    assert similarity[4].tolist() == [1, 1, 1, -1, -1]
    assert ((neighbor == -1) == (similarity == -1)).all()


def both_passes(vectors, index, probing, k):
    """Brute force over the lists that the two passes are to read, found from exact similarities to all centroids."""
    to_centroid = pair_similarities(vectors, index.centroids)
    list_of = index.list_of_rows()
    order = np.argsort(-to_centroid, axis=1, kind="stable")[:, : probing.nearest]
    read = np.zeros(to_centroid.shape, bool)
    np.put_along_axis(read, order, True, 1)
    first = brute_force_top_k(vectors, rows_of(vectors), vectors, k, read[:, list_of])
    limits = (first[1][:, -1].astype(np.float64) + probing.margin).astype(np.float32)
    read |= to_centroid >= limits[:, None]
    return brute_force_top_k(vectors, rows_of(vectors), vectors, k, read[:, list_of])


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(3, 130),
    st.integers(1, 20),
    st.integers(1, 3),
    st.floats(-0.6, 0.3),
    st.integers(1, 12),
    st.sampled_from(["f4", "f2"]),
)
def test_the_second_pass_reads_the_lists_within_the_margin_of_the_kth_best(
    kind, rows, lists, nearest, margin, k, storage
):
    vectors = awkward_rows(kind, rows, 9, rows).astype(storage)
    index = inverted_file(vectors, min(lists, rows))
    probing = Probing(nearest, margin)
    found = list_top_k(vectors, rows_of(vectors), vectors, index, probing, min(k, rows))
    assert_same(found, both_passes(vectors, index, probing, min(k, rows)))


@pytest.mark.parametrize("kind", KINDS)
def test_two_passes_do_not_depend_on_blocks_tiles_threads_or_the_cut_of_the_queries(monkeypatch, kind):
    vectors = awkward_rows(kind, 211, 9, 5)
    index = inverted_file(vectors, 30)
    probing = Probing(2, -0.2)
    expected = list_top_k(vectors, rows_of(vectors), vectors, index, probing, 9)
    for block, tile, threads in ((16384, 7, 1), (13, 256, 2), (17, 3, 2)):
        monkeypatch.setattr(list_search, "QUERY_BLOCK", block)
        monkeypatch.setattr(list_search, "CENTROID_TILE", tile)
        assert_same(list_top_k(vectors, rows_of(vectors), vectors, index, probing, 9, threads), expected)
    for part in (slice(0, 1), slice(50, 140), slice(200, 211)):
        found = list_top_k(vectors[part], rows_of(vectors)[part], vectors, index, probing, 9)
        assert_same(found, (expected[0][part], expected[1][part]))


def test_a_crowd_in_a_list_of_the_second_pass_is_ranked_in_full():
    crowd, lone = np.eye(8, dtype=np.float32)[:2]
    towards = 0.6 * crowd + 0.8 * lone
    vectors = np.concatenate([np.repeat(crowd[None], 400, axis=0), towards[None], np.repeat(lone[None], 3, axis=0)])
    index = InvertedFile.group(np.stack([crowd, lone]), np.array([0] * 400 + [1] * 4, np.int32))
    neighbor, similarity = list_top_k(vectors[400:401], np.array([400], np.int32), vectors, index, Probing(1, -2.0), 6)
    assert neighbor.tolist() == [[400, 401, 402, 403, 0, 1]]
    assert similarity[0, -1] == np.float32(0.6)


def test_empty_lists_and_more_lists_than_rows_are_read_without_harm():
    vectors = unit_rows(7, 5, 0)
    centroids = unit_rows(40, 5, 1)
    index = InvertedFile.group(centroids, assign_lists(vectors, centroids))
    everything = exact_top_k(vectors, rows_of(vectors), vectors, 5)
    assert_same(list_top_k(vectors, rows_of(vectors), vectors, index, Probing(60), 5), everything)
    assert_same(list_top_k(vectors, rows_of(vectors), vectors, index, Probing(1, -3.0), 5), everything)
    neighbor, _ = list_top_k(vectors, rows_of(vectors), vectors, index, Probing(1), 5)
    assert (neighbor[:, 0] == rows_of(vectors)).all()
