import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.search import nearest, ordering
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.kernels.search.ordering import rounding_band
from support.data import KINDS, assert_same, awkward_rows, brute_force_top_k, rows_of, unit_rows


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(2, 90),
    st.integers(1, 37),
    st.floats(0, 1),
    st.sampled_from([np.float32, np.float16]),
    st.integers(0, 10**6),
)
def test_exact_top_k_equals_brute_force_in_canonical_order(kind, rows, width, depth, storage, seed):
    vectors = awkward_rows(kind, rows, width, seed).astype(storage)
    k = 1 + round(depth * (rows - 1))
    assert_same(
        exact_top_k(vectors, rows_of(vectors), vectors, k), brute_force_top_k(vectors, rows_of(vectors), vectors, k)
    )


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(KINDS), st.integers(1, 40), st.integers(1, 60), st.integers(1, 20), st.integers(0, 10**6))
def test_queries_that_are_no_database_row_have_no_forced_rank(kind, queries, rows, width, seed):
    database = awkward_rows(kind, rows, width, seed)
    asked = unit_rows(queries, width, seed + 1)
    none = np.full(queries, -1, np.int32)
    k = min(5, rows)
    assert_same(exact_top_k(asked, none, database, k), brute_force_top_k(asked, none, database, k))


@pytest.mark.parametrize("storage", [np.float32, np.float16])
@pytest.mark.parametrize("kind", ["duplicates", "near-duplicates", "one-crowd"])
def test_rows_with_hundreds_of_ties_are_crowded_and_ranked_against_every_row(monkeypatch, kind, storage):
    crowd = awkward_rows(kind, 20, 24, 3)[:4]
    rng = np.random.default_rng(0)
    vectors = np.concatenate([crowd[rng.integers(0, 4, 500)], unit_rows(40, 24, 4)])
    vectors = vectors[rng.permutation(len(vectors))].astype(storage)
    crowded, scans = [], []
    rank_crowded, rank_candidates = ordering.rank_crowded, ordering.rank_candidates
    monkeypatch.setattr(nearest, "rank_crowded", lambda *given: (crowded.append(len(given[3])), rank_crowded(*given)))
    monkeypatch.setattr(
        ordering,
        "rank_candidates",
        lambda *given: (scans.append(len(given[3]) == len(vectors)), rank_candidates(*given)),
    )
    found = exact_top_k(vectors, rows_of(vectors), vectors, 4)
    assert sum(crowded) >= 400
    assert sum(scans) < sum(crowded) / 10, "copies of a vector were ranked one by one"
    assert_same(found, brute_force_top_k(vectors, rows_of(vectors), vectors, 4))


def test_identical_rows_are_listed_by_row_number_after_the_row_itself():
    vectors = np.repeat(unit_rows(1, 8, 0), 300, axis=0)
    neighbor, similarity = exact_top_k(vectors, rows_of(vectors), vectors, 4)
    assert neighbor[0].tolist() == [0, 1, 2, 3]
    assert neighbor[2].tolist() == [2, 0, 1, 3]
    assert neighbor[299].tolist() == [299, 0, 1, 2]
    assert np.ptp(similarity[:, 1:]) == 0
    assert (similarity[:, 0] == 1).all()


@pytest.mark.parametrize("copies", [70, 300])
def test_near_duplicates_in_float16_that_are_longer_than_one_tie_at_similarity_one(copies):
    noise = np.random.default_rng(1).normal(size=(copies, 32))
    vectors = (1.0009 * unit_rows(1, 32, 0) + 2e-4 * noise).astype(np.float16)
    products = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    assert products.min() > 1
    assert np.ptp(products) > 10 * rounding_band(32)
    neighbor, similarity = exact_top_k(vectors, rows_of(vectors), vectors, 5)
    assert (similarity == 1).all()
    assert neighbor[50].tolist() == [50, 0, 1, 2, 3]
    assert_same((neighbor, similarity), brute_force_top_k(vectors, rows_of(vectors), vectors, 5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("storage", [np.float32, np.float16])
def test_result_does_not_depend_on_blocks_tiles_or_threads(monkeypatch, kind, storage):
    vectors = awkward_rows(kind, 211, 19, 5).astype(storage)
    expected = exact_top_k(vectors, rows_of(vectors), vectors, 9, threads=2)
    for block, tile, threads in ((1024, 7, 1), (13, 1024, 2), (17, 33, 2), (1, 101, 1)):
        monkeypatch.setattr(nearest, "QUERY_BLOCK", block)
        monkeypatch.setattr(nearest, "DATABASE_TILE", tile)
        assert_same(exact_top_k(vectors, rows_of(vectors), vectors, 9, threads), expected)
    assert_same(expected, brute_force_top_k(vectors, rows_of(vectors), vectors, 9))


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 150), st.integers(1, 150), st.integers(0, 10**6))
def test_a_slice_of_the_queries_gives_the_slice_of_the_whole(kind, start, length, seed):
    vectors = awkward_rows(kind, 151, 12, seed)
    stop = min(start + length, 151)
    whole = exact_top_k(vectors, rows_of(vectors), vectors, 6)
    part = exact_top_k(vectors[start:stop], rows_of(vectors)[start:stop], vectors, 6)
    assert_same(part, (whole[0][start:stop], whole[1][start:stop]))


def test_a_similarity_is_the_same_from_both_ends():
    vectors = awkward_rows("near-duplicates", 60, 13, 2)
    neighbor, similarity = exact_top_k(vectors, rows_of(vectors), vectors, 60)
    square = np.empty((60, 60), np.float32)
    np.put_along_axis(square, neighbor, similarity, 1)
    np.testing.assert_array_equal(square, square.T)


def test_more_neighbors_than_rows_leaves_minus_one():
    vectors = unit_rows(5, 6, 0)
    neighbor, similarity = exact_top_k(vectors, rows_of(vectors), vectors, 8)
    assert (neighbor[:, 5:] == -1).all()
    assert (similarity[:, 5:] == -1).all()
    assert np.sort(neighbor[:, :5], axis=1).tolist() == [[0, 1, 2, 3, 4]] * 5


def test_no_queries_have_no_neighbors():
    database = unit_rows(9, 4, 0)
    neighbor, similarity = exact_top_k(database[:0], np.empty(0, np.int32), database, 3)
    assert neighbor.shape == similarity.shape == (0, 3)
