"""Bytes of other types are noticed, and float32 of any kind is left alone."""

import numpy as np
import pytest

from raycluster.storage.bare_numbers import misread_as

ROWS = np.random.default_rng(0).standard_normal((40, 16)) / 4


@pytest.mark.parametrize(
    ("kind", "scale", "name"),
    [
        ("<f8", 1, "float64"),
        ("<f2", 1, "float16"),
        (">f4", 1, "big-endian float32"),
        ("<i4", 1000, "int32"),
        ("i1", 100, "8-bit integer"),
    ],
)
def test_another_type_is_named(kind: str, scale: int, name: str) -> None:
    assert misread_as((scale * ROWS).astype(kind).tobytes()) == name


def test_bfloat16_is_named_and_numbers_of_few_digits_are_not() -> None:
    narrow = (ROWS.astype("<f4").view("<u4") >> 16).astype("<u2")
    assert misread_as(narrow.tobytes()) == "bfloat16"
    assert misread_as(np.maximum(narrow.view("<i2"), 0).tobytes()) in ("bfloat16", None)
    for step in (0.1, 1 / 3, 0.01, 1 / 255, 0.7):
        assert misread_as((step * np.arange(640)).astype("<f4").tobytes()) is None
    assert misread_as(ROWS.astype("<f2").astype("<f4").tobytes()) is None


def test_float64_that_was_float32_is_named() -> None:
    assert misread_as(ROWS.astype("<f4").astype("<f8").tobytes()) == "float64"


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        1e6 * ROWS,
        1e-6 * ROWS,
        1e-20 * ROWS,
        1e20 * ROWS,
        np.exp(100 * ROWS) / np.exp(100 * ROWS).sum(axis=1, keepdims=True),
        np.eye(16),
        np.zeros((4, 4)),
        np.full((3, 4), np.nan),
        np.where(np.arange(40)[:, None] < 5, np.nan, ROWS),
        ROWS[:0],
    ],
)
def test_float32_is_float32(rows: np.ndarray) -> None:
    assert misread_as(rows.astype("<f4").tobytes()) is None
    rounded = rows.astype("<f4").view("<u4") & 0xFFFF0000  # bfloat16
    assert misread_as(rounded.tobytes()) is None


def test_float32_on_every_other_axis_is_float32_and_float64_of_few_digits_is_not() -> None:
    rows = np.zeros((8, 16))
    rows[np.arange(8), 1 + 2 * (np.arange(8) % 3)] = ROWS[:8, 0]
    assert misread_as(rows.astype("<f4").tobytes()) is None
    assert misread_as(ROWS.astype("<f2").astype("<f8").tobytes()) == "float64"
    assert misread_as(np.arange(12.0).reshape(3, 4).astype("<f8").tobytes()) == "float64"
