"""Density on the transition matrix, against dense numpy, S2's Theorem 1, and rows that are hard to place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.neighborhoods.diffusion import ball, diffuse, transition, volume
from support.data import neighbor_table
from support.edge_tables import TABLES, random_scores


def dense(neighbor, matrix):
    """P of all rows (N, N)."""
    whole = np.zeros((len(neighbor), len(neighbor)))
    for i, line in enumerate(neighbor[:, : matrix.shape[1]]):
        for rank, j in enumerate(line):
            if j >= 0:
                whole[i, j] += matrix[i, rank]
    return whole


def closed_clusters(sizes, k, seed):
    """Lists, of the row itself and up to k - 1 others, that do not leave its cluster; scores; each row's cluster."""
    rng = np.random.default_rng(seed)
    cluster = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    neighbor = np.full((len(cluster), k), -1, np.int32)
    for i in range(len(cluster)):
        others = rng.permutation(np.flatnonzero((cluster == cluster[i]) & (np.arange(len(cluster)) != i)))[: k - 1]
        neighbor[i, : len(others) + 1] = [i, *others]
    return neighbor, random_scores(neighbor, seed), cluster


@settings(max_examples=40, deadline=None)
@given(TABLES, st.sampled_from([None, 0.05, 0.5, 100.0]))
def test_rows_of_p_are_the_formula_and_sum_to_one(table, sigma):
    neighbor, _ = neighbor_table(*table)
    score = random_scores(neighbor, table[2], 0.2)
    found = transition(score, sigma)
    assert found.dtype == np.float32
    for given_row, row in zip(score.astype(np.float64), found, strict=True):
        s = np.append(1.0, given_row[1:])
        weight = np.where(np.isnan(s), 0, s if sigma is None else np.exp(-(1 - s) / sigma))
        np.testing.assert_allclose(row, weight / weight.sum(), rtol=1e-6)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_rows_without_neighbors_or_with_none_that_is_similar_go_nowhere():
    score = np.array([[np.nan, np.nan, np.nan], [np.nan, 0, 0], [0.3, 0, np.nan]], np.float32)
    assert transition(score).tolist() == [[1, 0, 0]] * 3
    assert volume(score).tolist() == [1, 1, 1]


def test_softmax_gives_neighbors_of_no_similarity_the_same_and_empty_ranks_nothing():
    score = np.array([[np.nan, np.nan, np.nan], [np.nan, 0, 0], [0.3, 0, np.nan]], np.float32)
    small = np.exp(-1 / 0.5)
    expected = [[1, 0, 0], [1 / (1 + 2 * small), small / (1 + 2 * small), small / (1 + 2 * small)],
                [1 / (1 + small), small / (1 + small), 0]]  # fmt: skip
    np.testing.assert_allclose(transition(score, 0.5), expected, rtol=1e-6)


def test_lowering_sigma_lets_only_the_nearest_count():
    score = np.array([[1, 0.9, 0.5]], np.float32)
    flat, sharp = transition(score, 100.0), transition(score, 0.01)
    assert flat[0] == pytest.approx(1 / 3, abs=0.01)
    assert sharp[0] == pytest.approx([1, 0, 0], abs=1e-4)


def test_volume_is_the_sum_of_similarities():
    score = np.array([[np.nan, 0.5, 0.25], [np.nan, 1.0, np.nan]], np.float32)
    found = volume(score)
    assert (found.dtype, found.tolist()) == (np.float32, [1.75, 2.0])


def test_a_ball_counts_the_row_and_its_neighbors_within_the_radius():
    score = np.array([[np.nan, 0.75, 0.5, 0.25], [np.nan, 0.4, np.nan, np.nan]], np.float32)
    assert ball(score, 0.5).tolist() == [3, 1]
    assert ball(score, 0.6).tolist() == [3, 2]


@settings(max_examples=40, deadline=None)
@given(TABLES, st.integers(1, 20), st.floats(0.05, 0.9))
def test_damped_diffusion_equals_the_dense_formula_without_a_diagonal(table, steps, damping):
    neighbor, _ = neighbor_table(*table)
    matrix = transition(random_scores(neighbor, table[2], 0.2), 0.5, own=False)
    whole = dense(neighbor, matrix)
    assert (np.diag(whole) == 0).all()
    expected = np.ones(len(neighbor))
    for _ in range(steps):
        expected = damping * expected + (1 - damping) * whole.T @ expected
    found = diffuse(neighbor, matrix, steps, 0.0, damping)
    np.testing.assert_allclose(found.density, expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(TABLES, st.integers(1, 30), st.booleans())
def test_diffusion_equals_powers_of_the_dense_matrix(table, steps, cut):
    neighbor, _ = neighbor_table(*table)
    score = random_scores(neighbor, table[2], 0.2)
    matrix = transition(score[:, : 2 if cut else None])
    found = diffuse(neighbor, matrix, steps, 0.0)
    expected = np.linalg.matrix_power(dense(neighbor, matrix).T, steps) @ np.ones(len(neighbor))
    np.testing.assert_allclose(found.density, expected, rtol=1e-5, atol=1e-6)
    assert found.density.dtype == np.float32
    assert (found.density >= 0).all()
    assert found.steps <= steps


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 25), min_size=1, max_size=8), st.integers(2, 12), st.integers(1, 40), st.integers(0, 10**6)
)
def test_theorem_1_disjoint_clusters_have_the_same_mean_density_whatever_their_sizes(sizes, k, steps, seed):
    neighbor, score, cluster = closed_clusters(sizes, k, seed)
    for sigma in (None, 0.05):
        found = diffuse(neighbor, transition(score, sigma), steps, 0.0)
        for number in range(len(sizes)):
            assert found.density[cluster == number].mean(dtype=np.float64) == pytest.approx(1, abs=1e-5)


def test_volume_grows_with_the_size_of_a_cluster_where_diffusion_does_not():
    neighbor, score, cluster = closed_clusters([3, 12], 12, 0)
    score[neighbor >= 0] = 0.9
    small, large = (volume(score)[cluster == number].mean() for number in (0, 1))
    assert large > 3 * small
    even = diffuse(neighbor, transition(score), 100, 1e-6).density
    assert even == pytest.approx(1, abs=1e-4)


def test_diffusion_stops_at_the_first_step_below_the_tolerance():
    neighbor, _ = neighbor_table(200, 12, 0)
    matrix = transition(random_scores(neighbor, 0))
    found = diffuse(neighbor, matrix, 1000, 0.05)
    assert 1 < found.steps < 1000
    assert found.change < 0.05
    before, after = (diffuse(neighbor, matrix, steps, 0.0).density for steps in (found.steps - 1, found.steps))
    np.testing.assert_array_equal(found.density, after)
    assert np.sqrt(np.mean((after.astype(np.float64) - before) ** 2)) == pytest.approx(found.change, rel=1e-4)
    assert diffuse(neighbor, matrix, found.steps - 1, 0.0).change >= 0.05


def test_where_it_does_not_settle_the_density_after_all_steps_counts():
    """Two rows that give all to each other swap a third one's density without end; `transition` makes no such rows."""
    neighbor = np.array([[0, 1], [1, 0], [2, 0]], np.int32)
    matrix = np.array([[0, 1], [0, 1], [0, 1]], np.float32)
    found = diffuse(neighbor, matrix, 7, 0.05)
    assert (found.steps, found.change >= 0.05) == (7, True)
    assert found.density.tolist() == [2, 1, 0]


def test_tolerance_is_per_row_so_copies_of_a_set_have_its_density():
    neighbor, _ = neighbor_table(60, 10, 0)
    matrix = transition(random_scores(neighbor, 0))
    once = diffuse(neighbor, matrix, 100, 0.05)
    copies = diffuse(np.concatenate([neighbor, neighbor + 60]), np.concatenate([matrix, matrix]), 100, 0.05)
    assert copies.steps == once.steps
    np.testing.assert_array_equal(copies.density, np.tile(once.density, 2))


@settings(max_examples=25, deadline=None)
@given(TABLES, st.integers(0, 10**6))
def test_the_order_of_rows_changes_no_density_but_for_rounding(table, seed):
    neighbor, _ = neighbor_table(*table)
    matrix = transition(random_scores(neighbor, table[2], 0.2))
    order = np.random.default_rng(seed).permutation(len(neighbor)).astype(np.int32)  # row i is order[i] there
    moved, moved_matrix = np.empty_like(neighbor), np.empty_like(matrix)
    moved[order], moved_matrix[order] = np.where(neighbor >= 0, order[neighbor], -1), matrix
    plain, other = (diffuse(n, m, 5, 0.0).density for n, m in ((neighbor, matrix), (moved, moved_matrix)))
    np.testing.assert_allclose(other[order], plain, rtol=1e-6)
    assert plain.mean() == pytest.approx(1, abs=1e-5)


def test_rows_that_nothing_tells_apart_are_equally_dense():
    rng = np.random.default_rng(0)
    neighbor = np.stack([[i, *rng.permutation(np.delete(np.arange(9), i))] for i in range(9)]).astype(np.int32)
    score = np.full(neighbor.shape, 0.37, np.float32)
    found = set(diffuse(neighbor, transition(score), 50, 0.0).density.tolist())
    assert len(found) == 1
    assert found.pop() == pytest.approx(1, abs=1e-5)
