"""Tiles of matrix products against numpy, element by element."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.models.compiled.encoder import columns_for, multiply, packed
from raycluster.models.compiled.tiles import LANES, ROWS, WIDEST, tiles


def drawn(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@given(st.integers(1, 2 * ROWS + 1), st.integers(1, 40), st.integers(1, (2 * WIDEST + 1) * LANES), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_product_of_any_shape_is_numpys(rows, depth, tokens, is_added):
    matrix, x, out = (
        packed(drawn(rows, depth)),
        drawn(depth, columns_for(tokens)),
        drawn(rows + ROWS, columns_for(tokens)),
    )
    offset = drawn(rows + ROWS)
    expected = drawn(rows, depth).astype(np.float64) @ x[:, :tokens] + offset[:rows, None]
    expected += out[:rows, :tokens] * is_added
    multiply(matrix, x, tokens, out, offset, is_added)
    np.testing.assert_allclose(out[:rows, :tokens], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("vectors", range(1, 2 * WIDEST + 1))
def test_an_element_has_the_same_bits_whatever_is_computed_beside_it(vectors):
    matrix, x, offset = packed(drawn(ROWS, 50)), drawn(50, columns_for(8 * LANES)), drawn(ROWS)
    alone, beside = (np.empty((ROWS, x.shape[1]), np.float32) for _ in range(2))
    multiply(matrix, x, LANES, alone, offset, False)
    multiply(matrix, x, vectors * LANES, beside, offset, False)
    np.testing.assert_array_equal(beside[:, :LANES], alone[:, :LANES])


def test_either_matrix_may_lie_turned():
    left, right = drawn(2 * ROWS, 30), drawn(30, 2 * LANES)
    turned, expected = np.ascontiguousarray(left.T), left.astype(np.float64) @ right
    zeros, out = np.zeros(2 * ROWS, np.float32), np.empty((2 * ROWS, 2 * LANES), np.float32)
    for matrix, row, step in ((left, 30, 1), (turned, 1, 2 * ROWS)):
        tiles(matrix, 0, row, step, right, 0, 2 * LANES, out, 0, 2 * LANES, 30, 2, ROWS * row, 2, zeros, False)
        np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)
