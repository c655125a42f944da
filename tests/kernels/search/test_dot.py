"""The inner product that decides every order, against exactly rounded sums."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.search.dot import dot_float64
from support.data import pair_similarities, unit_rows


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 70), st.integers(0, 10**6))
def test_dot_float64_equals_the_exactly_rounded_sum(width, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, width)).astype(np.float32)
    products = a.astype(np.float64) * b.astype(np.float64)
    exact = math.fsum(products)
    assert abs(dot_float64(a, b) - exact) <= max(width, 1) * 2.0**-53 * np.abs(products).sum()
    assert dot_float64(a, b) == dot_float64(b, a)


def test_the_oracle_sums_as_dot_float64_does():
    a, b = unit_rows(20, 29, 0), unit_rows(30, 29, 1)
    kernel = [[np.float32(dot_float64(x, y)) for y in b] for x in a]
    np.testing.assert_array_equal(pair_similarities(a, b), kernel)


def test_rows_of_any_stride_have_the_same_product():
    a, b = unit_rows(2, 37, 0)
    apart = np.stack([b, -b], axis=1)[:, 0]
    assert not apart.flags.c_contiguous
    assert dot_float64(a, apart) == dot_float64(a, b)
