"""The running best of a block: whatever tiles it is pushed by, it holds every candidate that may be among the k best."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.search.candidates import Candidates, Scores
from support.data import KINDS, assert_same, awkward_rows, brute_force_top_k, rows_of, unit_rows


def pushed(candidates, scores, cuts, rows=None):
    """Offer scores (R, N) in the tiles between cuts."""
    for first, last in zip([0, *cuts], [*cuts, scores.shape[1]], strict=True):
        lines = np.arange(len(scores)) if rows is None else rows
        candidates.push(np.ascontiguousarray(scores[:, first:last]), np.arange(first, last, dtype=np.int32), lines)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(2, 200),
    st.integers(1, 9),
    st.lists(st.integers(0, 200), max_size=4),
    st.integers(0, 10**6),
    st.booleans(),
)
def test_the_best_k_are_found_whatever_the_tiles_and_the_rounding_of_their_scores(kind, rows, k, cuts, seed, half):
    vectors = awkward_rows(kind, rows, 10, seed).astype(np.float16 if half else np.float32)
    wide = vectors.astype(np.float32)
    candidates = Candidates(Scores.rounded(rows, 10), k)
    noise = np.random.default_rng(seed).uniform(-1, 1, (rows, rows)) * 2.0**-23
    scores = (wide.astype(np.float64) @ wide.T.astype(np.float64) + noise).astype(np.float32)
    pushed(candidates, scores, sorted({min(cut, rows) for cut in cuts}))
    neighbor, similarity, crowded = candidates.finish(wide, rows_of(wide), vectors)
    expected = brute_force_top_k(vectors, rows_of(wide), vectors, min(k, rows))
    plain = np.setdiff1d(np.arange(rows), crowded)
    found = neighbor[plain][:, : min(k, rows)], similarity[plain][:, : min(k, rows)]
    assert_same(found, (expected[0][plain], expected[1][plain]))
    assert (neighbor[crowded] == -1).all()


def test_only_a_query_with_more_ties_than_slots_is_crowded():
    database = np.concatenate([unit_rows(200, 8, 1), np.repeat(unit_rows(1, 8, 0), 200, axis=0)])
    queries = database[[300, 0]]
    candidates = Candidates(Scores.rounded(2, 8), 5)
    pushed(candidates, queries @ database.T, [64, 128, 130])
    _, _, crowded = candidates.finish(queries, np.array([300, 0], np.int32), database)
    assert crowded.tolist() == [0]


def test_queries_without_enough_candidates_end_in_minus_one():
    database = unit_rows(10, 6, 0)
    candidates = Candidates(Scores.rounded(3, 6), 4)
    candidates.push(database[[1]] @ database[:2].T, np.array([0, 1], np.int32), np.array([1]))
    neighbor, similarity, crowded = candidates.finish(database[:3], np.array([-1, 1, -1], np.int32), database)
    assert len(crowded) == 0
    assert neighbor[0].tolist() == neighbor[2].tolist() == [-1] * 4
    assert neighbor[1].tolist() == [1, 0, -1, -1]
    assert (similarity[neighbor < 0] == -1).all()


@pytest.mark.parametrize("above", [False, True])
def test_what_lies_below_a_floor_may_be_dropped_and_what_reaches_it_is_kept(above):
    database = unit_rows(60, 8, 3)
    queries = database[:5]
    scores = queries @ database.T
    expected = brute_force_top_k(queries, np.full(5, -1), database, 7)
    kth = expected[1][:, -1] + np.float32(0.01 if above else 0)
    candidates = Candidates(Scores.rounded(5, 8), 7, kth)
    pushed(candidates, scores, [20])
    neighbor, similarity, _ = candidates.finish(queries, np.full(5, -1, np.int32), database)
    for row in range(5):
        kept = expected[1][row] >= kth[row]
        assert neighbor[row, : kept.sum()].tolist() == expected[0][row, kept].tolist()
        assert similarity[row, : kept.sum()].tolist() == expected[1][row, kept].tolist()
