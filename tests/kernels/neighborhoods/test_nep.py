import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.neighborhoods.nep import (
    exponential_probability,
    neighbor_edge_probability,
    normalized,
    sigmoid_probability,
)
from raycluster.kernels.search.nearest import exact_top_k
from support.data import identities


def random_lists(rows, k, seed, short=0.0):
    """Neighbor lists with the row itself first, -1 past the end of some, and their p_hat."""
    rng = np.random.default_rng(seed)
    neighbor = np.full((rows, k), -1, np.int32)
    p_hat = np.zeros((rows, k), np.float32)
    for i in range(rows):
        others = rng.permutation(np.delete(np.arange(rows), i))[: k - 1]
        if rng.random() < short:
            others = others[: rng.integers(0, len(others) + 1)]
        listed = [i, *others]
        neighbor[i, : len(listed)] = listed
        p_hat[i, : len(listed)] = rng.random(len(listed)) + 0.01
    return neighbor, normalized(p_hat)


def brute_force_nep(neighbor, p_hat, length):
    rows, k = neighbor.shape
    lists = [
        {int(h): float(p) for h, p in zip(neighbor[i, : length[i]], p_hat[i, : length[i]], strict=True) if h >= 0}
        for i in range(rows)
    ]
    nep = np.zeros((rows, k))
    for i in range(rows):
        for rank in range(k):
            j = int(neighbor[i, rank])
            if j >= 0:
                common = sum(lists[i][h] + lists[j][h] for h in lists[i].keys() & lists[j].keys())
                nep[i, rank] = common / (sum(lists[i].values()) + sum(lists[j].values()))
    return nep


CASES = st.integers(2, 60).flatmap(
    lambda rows: st.tuples(st.just(rows), st.integers(2, rows), st.integers(0, 10**6), st.sampled_from([0.0, 0.5]))
)


@settings(max_examples=40, deadline=None)
@given(CASES)
def test_nep_equals_the_formula_on_dictionaries(case):
    rows, k, seed, short = case
    neighbor, p_hat = random_lists(rows, k, seed, short)
    found = neighbor_edge_probability(neighbor, p_hat)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, brute_force_nep(neighbor, p_hat, np.full(rows, k)), rtol=2e-6, atol=0)
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert (found[neighbor < 0] == 0).all()
    assert (found[neighbor >= 0] > 0).all()


@settings(max_examples=40, deadline=None)
@given(CASES)
def test_nep_with_a_length_for_every_row_truncates_both_lists(case):
    rows, k, seed, short = case
    neighbor, p_hat = random_lists(rows, k, seed, short)
    length = np.random.default_rng(seed + 1).integers(1, k + 1, rows)
    found = neighbor_edge_probability(neighbor, p_hat, length=length)
    np.testing.assert_allclose(found, brute_force_nep(neighbor, p_hat, length), rtol=2e-6, atol=0)
    assert (found <= 1).all()


def test_a_neighbor_past_the_rows_own_topk_keeps_its_value():
    # row 0 trusts only itself and row 1; rows 1 and 2 list each other, so that row 2 still shares row 1 with row 0
    neighbor = np.array([[0, 1, 2], [1, 2, 0], [2, 1, 0]], np.int32)
    p_hat = np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.5, 0.25, 0.25]], np.float32)
    found = neighbor_edge_probability(neighbor, p_hat, length=np.array([2, 3, 2]))
    assert found[0, 2] == pytest.approx((0.25 + 0.25) / (0.75 + 0.75))


@settings(max_examples=20, deadline=None)
@given(CASES)
def test_nep_is_the_same_from_both_ends(case):
    neighbor, p_hat = random_lists(*case)
    nep = neighbor_edge_probability(neighbor, p_hat)
    of_pair = {(i, int(j)): nep[i, rank] for i, line in enumerate(neighbor) for rank, j in enumerate(line) if j >= 0}
    both = [(pair, of_pair[pair[::-1]]) for pair in of_pair if pair[::-1] in of_pair]
    assert len(both) >= len(neighbor)
    for pair, reverse in both:
        assert of_pair[pair] == pytest.approx(reverse, rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(CASES, st.integers(1, 59), st.booleans())
def test_row_shards_stack_to_the_whole(case, cut, truncated):
    neighbor, p_hat = random_lists(*case)
    rows, k = neighbor.shape
    cut = min(cut, rows)
    length = np.random.default_rng(1).integers(1, k + 1, rows) if truncated else None
    whole = neighbor_edge_probability(neighbor, p_hat, length=length, threads=1)
    parts = [
        neighbor_edge_probability(neighbor, p_hat, start, stop, length, threads=2)
        for start, stop in ((0, cut), (cut, rows))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_more_rows_than_a_chunk_on_real_lists_equal_the_formula():
    vectors, _ = identities(70, 10)
    neighbor, similarity = exact_top_k(vectors, np.arange(700, dtype=np.int32), vectors, 12)
    p_hat = normalized(exponential_probability(similarity))
    expected = brute_force_nep(neighbor, p_hat, np.full(700, 12))
    for threads in (1, 2):
        found = neighbor_edge_probability(neighbor, p_hat, threads=threads)
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=0)
    assert found[:, 0] == pytest.approx(1, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(CASES)
def test_without_the_pair_neither_of_its_rows_counts(case):
    neighbor, p_hat = random_lists(*case)
    rows, k = neighbor.shape
    length = np.random.default_rng(case[2]).integers(1, k + 1, rows)
    found = neighbor_edge_probability(neighbor, p_hat, length=length, without_pair=True)
    for i, rank in np.argwhere(neighbor >= 0):
        j = int(neighbor[i, rank])
        lists = [
            {
                int(h): float(p)
                for h, p in zip(neighbor[r, : length[r]], p_hat[r, : length[r]], strict=True)
                if h not in (-1, i, j)
            }
            for r in (i, j)
        ]
        mass = sum(sum(one.values()) for one in lists)
        common = sum(lists[0][h] + lists[1][h] for h in lists[0].keys() & lists[1].keys())
        assert found[i, rank] == pytest.approx(common / mass if mass else 0, rel=2e-6)


def test_identical_lists_have_nep_one_and_lists_with_nothing_in_common_but_themselves_little():
    neighbor = np.array([[0, 1], [1, 0], [2, 0]], np.int32)
    p_hat = np.array([[0.5, 0.5], [0.75, 0.25], [0.5, 0.5]], np.float32)
    nep = neighbor_edge_probability(neighbor, p_hat)
    assert nep.tolist() == [[1, 1], [1, 1], [1, 0.5]]


@pytest.mark.parametrize("tau", [0.2, 0.5, 3.0])
def test_exponential_transform_is_the_formula(tau):
    similarity = np.array([[1.0, 0.75, 0.3, 0.0, -0.2, -1.0]], np.float32)
    expected = [math.exp(-(2 - 2 * a) / tau) for a in (1.0, 0.75, 0.3, 0.0, 0.0, 0.0)]
    found = exponential_probability(similarity, tau)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)
    assert found[0, 0] == 1


def test_exponential_transform_uses_the_published_tau_by_default():
    found = exponential_probability(np.array([[0.5, 0.0]], np.float32))
    np.testing.assert_allclose(found[0], [math.exp(-2), math.exp(-4)], rtol=1e-6)


@pytest.mark.parametrize(("delta", "epsilon"), [(7.5, -5.0), (1.0, 0.5), (20.0, -2.0)])
def test_sigmoid_transform_is_the_formula(delta, epsilon):
    similarity = np.array([[1.0, 0.75, 0.3, 0.0, -0.2, -1.0]], np.float32)
    expected = [1 / (1 + math.exp(delta * (2 - 2 * a) + epsilon)) for a in (1.0, 0.75, 0.3, 0.0, 0.0, 0.0)]
    found = sigmoid_probability(similarity, delta, epsilon)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_sigmoid_transform_uses_the_published_constants_by_default():
    found = sigmoid_probability(np.array([[1.0, 0.5]], np.float32))
    np.testing.assert_allclose(found[0], [1 / (1 + math.exp(-5)), 1 / (1 + math.exp(2.5))], rtol=1e-6)


def test_normalized_rows_sum_to_one_and_rows_of_zeros_stay_zero():
    found = normalized(np.array([[1, 2, 1], [0, 0, 0], [5, 0, 0]], np.float32))
    assert found.dtype == np.float32
    assert found.tolist() == [[0.25, 0.5, 0.25], [0, 0, 0], [1, 0, 0]]
