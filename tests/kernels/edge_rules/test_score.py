"""Pairs whose learned score reaches a limit, against what each row holds of each neighbor."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.edge_rules import odds, score_edges
from support.data import neighbor_table
from support.edge_tables import (
    COMBINE,
    TABLES,
    as_columns,
    assert_equal_columns,
    elsewhere,
    kept,
    pairs_of,
    random_scores,
    shards_of,
    stacked,
)


def test_odds_grow_with_the_score_and_are_capped():
    score = np.linspace(0, 1, 101, dtype=np.float32)
    found = odds(score)
    assert found.dtype == np.float32
    below = score < 0.96
    np.testing.assert_allclose(found[below], score[below] / (1 - score[below]), rtol=1e-5)
    assert (np.diff(found) >= 0).all()
    assert found[-1] == pytest.approx(32, rel=1e-5)
    np.testing.assert_allclose(odds(score, 3), np.minimum(found, 3), rtol=1e-5)


def brute_force_score_edges(neighbor, similarity, score, floor, combine):
    """Pairs with their weight and similarity, from what every row says of every neighbor it lists."""
    said = {}
    for i, line in enumerate(neighbor.tolist()):
        for rank, j in enumerate(line):
            if j >= 0 and not np.isnan(score[i, rank]):
                said[i, j] = (score[i, rank], similarity[i, rank])
    expected = {}
    for (i, j), (forth, cosine) in said.items():
        weight = COMBINE[combine](forth, said[j, i][0]) if (j, i) in said else forth
        if weight >= np.float32(floor) and weight > 0:
            expected[min(i, j), max(i, j)] = (weight, cosine)
    return expected


def assert_scored(found, expected):
    pairs = pairs_of(found)
    assert len(pairs) == len(set(pairs))
    assert dict(zip(pairs, zip(found["weight"], found["similarity"], strict=True), strict=True)) == expected
    assert_equal_columns({**found, "nep": np.full_like(found["weight"], np.nan), "score": found["weight"]}, found)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(TABLES, st.floats(-0.2, 1), st.sampled_from(list(COMBINE)))
def test_scored_pairs_equal_a_loop_over_what_each_end_says(table, floor, combine):
    neighbor, similarity = neighbor_table(*table)
    score = random_scores(neighbor, table[2])
    found = score_edges(0, len(neighbor), neighbor, similarity, score, floor, combine)
    assert_scored(found, brute_force_score_edges(neighbor, similarity, score, floor, combine))


@settings(max_examples=60, deadline=None)
@given(TABLES, st.floats(-0.2, 1), st.sampled_from(list(COMBINE)))
def test_an_end_with_nan_says_nothing_whichever_end_it_is(table, floor, combine):
    neighbor, similarity = neighbor_table(*table)
    score = random_scores(neighbor, table[2], missing=0.4)
    found = score_edges(0, len(neighbor), neighbor, similarity, score, floor, combine)
    assert_scored(found, brute_force_score_edges(neighbor, similarity, score, floor, combine))


@pytest.mark.parametrize(("combine", "weight"), [("mean", 0.5), ("geometric", 0.4), ("minimum", 0.2), ("maximum", 0.8)])
def test_both_ends_are_combined_and_a_pair_listed_once_has_the_score_of_its_end(combine, weight):
    neighbor = np.array([[0, 1], [1, 0], [2, 0]], np.int32)
    similarity = np.array([[1, 0.9], [1, 0.9], [1, 0.7]], np.float32)
    score = np.array([[np.nan, 0.8], [np.nan, 0.2], [np.nan, 0.9]], np.float32)
    found = score_edges(0, 3, neighbor, similarity, score, 0.1, combine)
    assert pairs_of(found) == [(0, 1), (0, 2)]
    assert found["weight"].tolist() == pytest.approx([weight, 0.9])
    assert pairs_of(score_edges(0, 3, neighbor, similarity, score, weight + 0.01, combine)) == [(0, 2)]


def test_where_nothing_is_scored_or_all_scores_are_zero_there_is_no_edge():
    neighbor, similarity = neighbor_table(20, 6, 0)
    for value in (np.nan, 0.0):
        found = score_edges(0, 20, neighbor, similarity, np.full(neighbor.shape, value, np.float32), -1.0, "mean")
        assert_equal_columns(found, as_columns([]))


@settings(max_examples=25, deadline=None)
@given(TABLES, st.floats(0, 1), st.integers(0, 1000), st.sampled_from(list(COMBINE)))
def test_scored_edges_of_row_shards_stack_to_the_whole(table, floor, seed, combine):
    neighbor, similarity = neighbor_table(*table)
    score = random_scores(neighbor, table[2], missing=0.2)

    def of(start, stop):
        return score_edges(start, stop, neighbor, similarity[start:stop], score, floor, combine)

    whole = of(0, len(neighbor))
    assert_equal_columns(whole, stacked([of(*shard) for shard in shards_of(len(neighbor), seed)]))


@settings(max_examples=25, deadline=None)
@given(TABLES, st.floats(0, 1), st.floats(-1, 1))
def test_an_edge_reaches_the_lowest_similarity_as_well(table, floor, lowest):
    neighbor, similarity = neighbor_table(*table)
    score = random_scores(neighbor, table[2], 0.2)
    plain = score_edges(0, len(neighbor), neighbor, similarity, score, floor, "mean")
    found = score_edges(0, len(neighbor), neighbor, similarity, score, floor, "mean", lowest_similarity=lowest)
    assert_equal_columns(found, kept(plain, plain["similarity"] >= np.float32(lowest)))


@pytest.mark.parametrize("most", [3.0, 32.0])
def test_edges_weigh_their_odds_on_request_and_keep_their_scores(most):
    neighbor, similarity = neighbor_table(40, 10, 0)
    score = random_scores(neighbor, 0)
    plain = score_edges(0, 40, neighbor, similarity, score, 0.3, "mean")
    found = score_edges(0, 40, neighbor, similarity, score, 0.3, "mean", highest_odds=most)
    assert_equal_columns(found, plain | {"weight": odds(plain["score"], most)})


@settings(max_examples=25, deadline=None)
@given(TABLES, st.integers(0, 1000))
def test_a_shard_reads_no_row_but_its_own_and_its_neighbors(table, seed):
    neighbor, similarity = neighbor_table(*table)
    score = random_scores(neighbor, table[2], 0.2)
    for start, stop in shards_of(len(neighbor), seed):
        away = elsewhere(neighbor, start, stop)
        others = neighbor.copy(), score.copy()
        others[0][away], others[1][away] = 0, 1
        own = similarity[start:stop]
        expected = score_edges(start, stop, neighbor, own, score, 0.2, "mean")
        assert_equal_columns(score_edges(start, stop, others[0], own, others[1], 0.2, "mean"), expected)
