"""Compiled parts of a layer against scipy and torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from raycluster.models.compiled import layers

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 40))


def drawn(shape, seed=0, scale=3):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def test_the_exponential_and_the_error_function_are_those_of_libraries_to_the_last_digits():
    x = np.linspace(-87, 0, 20_001, dtype=np.float32)
    found = np.array([layers.exponential(value) for value in x])
    np.testing.assert_allclose(found, np.exp(x.astype(np.float64)), rtol=4e-7)
    assert layers.exponential(np.float32(-1e4)) == layers.exponential(np.float32(-87))
    x = np.linspace(-6, 6, 20_001, dtype=np.float32)
    found = np.array([layers.error_function(value) for value in x])
    np.testing.assert_allclose(found, erf(x.astype(np.float64)), rtol=0, atol=4e-7)


@given(SHAPES, st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_gelu_adds_the_bias_and_is_torchs(shape, seed):
    x, bias = drawn(shape, seed), drawn(shape[1], seed + 1)
    expected = torch.nn.functional.gelu(torch.from_numpy(x + bias)).numpy()
    layers.gelu(x, bias)
    np.testing.assert_allclose(x, expected, rtol=1e-5, atol=4e-6)  # half of x times the error of the error function


@given(SHAPES.filter(lambda shape: shape[1] > 1), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_normalizing_is_torchs_layer_norm(shape, seed):
    x, summand, bias = drawn(shape, seed), drawn(shape, seed + 1), drawn(shape[1], seed + 2)
    total, out = x + summand + bias, np.empty(shape, np.float32)
    expected = torch.nn.functional.layer_norm(torch.from_numpy(total), shape[1:]).numpy()
    layers.add_and_normalize(x, summand, bias, out)
    np.testing.assert_allclose(x, total, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("k", [1, 5, 20, 80])
def test_softmax_reads_the_bias_of_each_pair_and_leaves_out_who_is_not_there(k):
    rng = np.random.default_rng(k)
    scores, table = drawn((3, 2, k, k), k), drawn((2, 128), 1)
    bins, count = rng.integers(0, 128, (3, k, k)).astype(np.uint8), rng.integers(1, k + 1, 3)
    biased = scores + np.stack([table[m][bins] for m in range(2)], axis=1)
    biased[np.broadcast_to((np.arange(k) >= count[:, None])[:, None, None], biased.shape)] = -np.inf
    expected = torch.from_numpy(biased).softmax(dim=3).numpy()
    layers.softmax(scores, bins, table, count)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-7)
    assert (scores[expected == 0] == 0).all()
