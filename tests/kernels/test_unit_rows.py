"""Rows of unit length from rows of any scale, and why a row has none."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.unit_rows import REASONS, normalize

VALUES = st.one_of(st.just(0.0), st.floats(-1e300, 1e300), st.floats(-10, 10), st.sampled_from([math.nan, math.inf]))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=1, max_size=6))
def test_rows_are_divided_by_their_length_or_told_apart_by_reason(rows):
    unit, reason = normalize(np.array(rows))
    assert unit.dtype == np.float32
    for row, found, why in zip(rows, unit.tolist(), reason.tolist(), strict=True):
        if not all(map(math.isfinite, row)):
            assert (why, found) == (2, [0, 0, 0])
        elif not any(row):
            assert (why, found) == (3, [0, 0, 0])
        else:
            assert why == 0
            largest = max(map(abs, row))
            length = math.hypot(*(value / largest for value in row))
            assert found == pytest.approx([value / largest / length for value in row], rel=1e-6, abs=1e-30)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.int64])
def test_every_real_type_is_normalized_in_double_precision(dtype):
    unit, reason = normalize(np.array([[3, -4], [0, 0], [100, 100]], dtype))
    assert unit.dtype == np.float32
    assert reason.tolist() == [0, 3, 0]
    np.testing.assert_array_equal(unit, np.array([[0.6, -0.8], [0, 0], [2**-0.5, 2**-0.5]], np.float32))


def test_int8_and_float16_do_not_overflow_on_the_way():
    assert normalize(np.full((1, 4), -128, np.int8))[0].tolist() == [[-0.5] * 4]
    assert normalize(np.full((1, 4), 60000, np.float16))[0].tolist() == [[0.5] * 4]


@pytest.mark.parametrize("size", [1e200, 1.7e308, 1e-200, 5e-324, 1e38, 1e-40])
def test_finite_rows_of_any_size_have_a_direction(size):
    unit, reason = normalize(np.array([[size, size, -size, size], [3, 0, 0, 4]]))
    assert reason.tolist() == [0, 0]
    assert unit.tolist() == [[0.5, 0.5, -0.5, 0.5], pytest.approx([0.6, 0, 0, 0.8])]


def test_float32_extremes_have_a_direction():
    unit, reason = normalize(np.array([[3e38, 3e38], [1e-45, 0]], np.float32))
    assert reason.tolist() == [0, 0]
    np.testing.assert_allclose(unit, [[2**-0.5, 2**-0.5], [1, 0]])


def test_reasons_of_bad_rows_and_input_left_alone():
    rows = np.array([[1, math.nan], [math.inf, 1], [-math.inf, math.inf], [0, -0.0], [1e300, 1e300], [1, 0]])
    before = rows.copy()
    unit, reason = normalize(rows)
    assert [REASONS[why] for why in reason] == [*["NaN or infinity"] * 3, "only zeros", "", ""]
    assert (unit[:4] == 0).all()
    np.testing.assert_array_equal(rows, before)


def test_normalizing_twice_changes_at_most_the_last_bit():
    once, _ = normalize(np.random.default_rng(0).normal(size=(50, 33)))
    np.testing.assert_allclose(normalize(once)[0], once, rtol=2e-7)
