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
def test_gelu_adds_the_bias_to_the_first_tokens_and_is_torchs(shape, seed):
    x, bias = drawn(shape, seed), drawn(shape[0], seed + 1)
    tokens = seed % shape[1] + 1
    expected = x.copy()
    expected[:, :tokens] = torch.nn.functional.gelu(torch.from_numpy(x + bias[:, None]))[:, :tokens]
    layers.gelu(x, bias, tokens)
    np.testing.assert_allclose(x, expected, rtol=1e-5, atol=4e-6)  # half of x times the error of the error function


@given(SHAPES.filter(lambda shape: shape[0] > 1), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_normalizing_is_torchs_layer_norm(shape, seed):
    x, out = drawn(shape, seed), np.full(shape, 7, np.float32)
    tokens = seed % shape[1] + 1
    expected = torch.nn.functional.layer_norm(torch.from_numpy(x.T.copy()), shape[:1]).numpy().T
    layers.normalize(x, tokens, out)
    np.testing.assert_allclose(out[:, :tokens], expected[:, :tokens], rtol=1e-4, atol=1e-4)
    assert (out[:, tokens:] == 7).all()


@pytest.mark.parametrize("k", [1, 5, 20, 80])
def test_exponentials_read_the_bias_of_each_pair_and_leave_out_who_is_not_there(k):
    rng = np.random.default_rng(k)
    scores, table = drawn((k + 2, k + 3), k), drawn(128, 1)
    bins, keys = rng.integers(0, 128, (k, k)).astype(np.uint8), int(rng.integers(1, k + 1))
    biased = scores[:keys, :k] + table[bins[:keys]]
    highest, total = np.empty(k, np.float32), np.empty(k, np.float32)
    layers.exponentials(scores, bins, table, keys, highest, total)
    np.testing.assert_array_equal(highest, biased.max(axis=0))
    shares = scores[:keys, :k] / total
    np.testing.assert_allclose(shares, torch.from_numpy(biased).softmax(dim=0).numpy(), rtol=1e-5, atol=1e-7)
