import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.errors import InputError
from raycluster.stages.ingest import REASONS, normalize, read_vectors

KINDS = [pa.list_, pa.large_list, lambda value: pa.list_(value, 3)]
VALUES = st.one_of(st.just(0.0), st.floats(-1e300, 1e300), st.floats(-10, 10), st.sampled_from([math.nan, math.inf]))


def read(column, width=3):
    return read_vectors(column, width, "here", 100)


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "value", [pa.float16(), pa.float32(), pa.float64(), pa.int8(), pa.uint8(), pa.int32(), pa.int64()]
)
def test_every_list_of_numbers_is_read_with_nulls_marked(kind, value):
    number = np.float16 if value == pa.float16() else int
    rows = [[1, 2, 3], None, [4, None, 6], [7, 8, 9]]
    column = pa.array([row and [v if v is None else number(v) for v in row] for row in rows], kind(value))
    values, null = read(column)
    assert null.tolist() == [False, True, True, False]
    assert values.dtype.kind == "f"
    assert values[[0, 3]].tolist() == [[1, 2, 3], [7, 8, 9]]
    assert values[1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_slices_are_read_from_where_they_start(kind):
    rows = [[float(i), 0.5, None if i == 6 else -1.0] if i % 4 else None for i in range(20)]
    column = pa.array(rows, kind(pa.float32()))
    for start, length in ((0, 20), (3, 9), (5, 1), (8, 1), (19, 1), (4, 0)):
        values, null = read(column.slice(start, length))
        part = rows[start : start + length]
        assert values.shape == (length, 3)
        assert null.tolist() == [row is None or None in row for row in part]
        good = [row for row in part if row and None not in row]
        assert values[~null].tolist() == good


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_only_nulls_is_all_marked(kind):
    values, null = read(pa.array([None, None], kind(pa.float32())))
    assert null.tolist() == [True, True]
    assert values.tolist() == [[0, 0, 0]] * 2


def test_double_precision_is_kept_where_the_input_has_it():
    values, _ = read(pa.array([[1e200, 1 / 3, 1.0]], pa.list_(pa.float64())))
    assert values.tolist() == [[1e200, 1 / 3, 1.0]]


def test_integers_beyond_single_precision_are_read():
    values, null = read(pa.array([[2**24 + 1, 1, -(2**30)], [2**62, 0, 1]], pa.list_(pa.int64())))
    assert null.tolist() == [False, False]
    assert values.tolist() == [[2**24 + 1, 1, -(2**30)], [2.0**62, 0, 1]]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[1.0, 2, 3], None, [1.0, 2]], "here, row 102: the vector has length 2, the first one has 3"),
        ([[1.0, 2, 3], [1.0, 2, 3, 4], []], "here, row 101: the vector has length 4, the first one has 3"),
        ([None, []], "here, row 101: the vector has zero length, the first one has 3"),
    ],
)
def test_a_vector_of_another_length_is_named_by_its_row(rows, words):
    for kind in (pa.list_, pa.large_list):
        with pytest.raises(InputError, match=words):
            read(pa.array(rows, kind(pa.float32())))


def test_fixed_size_lists_of_another_width_are_refused():
    column = pa.array([None, [1.0, 2.0]], pa.list_(pa.float32(), 2))
    with pytest.raises(InputError, match="here, row 101: the vector has length 2, the first one has 3"):
        read(column)
    with pytest.raises(InputError, match="row 100: the vector has zero length"):
        read(pa.array([[], []], pa.list_(pa.float32(), 0)))
