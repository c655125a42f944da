"""Bit-identical rows, against numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.kernels import duplicates as module
from raycluster.kernels.duplicates import originals, row_hashes


def oracle(vectors):
    """The lowest row with the same bytes."""
    first = {}
    return [first.setdefault(row.tobytes(), at) for at, row in enumerate(vectors)]


@given(
    st.lists(st.integers(0, 6), max_size=40),
    st.sampled_from([np.float32, np.float16, np.float64]),
    st.integers(1, 5),
    st.booleans(),
)
def test_copies_are_rows_of_equal_bytes(picks, dtype, width, collide):
    base = np.random.default_rng(0).normal(size=(7, width)).astype(dtype)
    base[5], base[6] = 0.0, -0.0
    vectors = base[np.array(picks, np.int64)].reshape(-1, width)
    original = originals(vectors, hashes=np.zeros(len(vectors), np.int64) if collide else None)
    assert original.tolist() == oracle(vectors)


def test_hashes_do_not_depend_on_blocks(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    whole = row_hashes(vectors)
    monkeypatch.setattr(module, "ROWS_PER_CALL", 8)
    np.testing.assert_array_equal(row_hashes(vectors), whole)
    assert len(np.unique(whole)) == 50


def test_rows_that_a_decision_parts_are_never_collapsed():
    original = originals(np.ones((5, 3), np.float32), alone=np.array([False, True, False, True, False]))
    assert original.tolist() == [0, 1, 0, 3, 0]


@pytest.mark.parametrize("width", [3, 64])
def test_ten_thousand_copies_among_twenty_thousand_rows(width):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(20_000, width)).astype(np.float32)
    copies = np.sort(rng.choice(20_000, 10_000, replace=False))
    vectors[copies] = vectors[copies[0]]
    original = originals(vectors)
    assert (original != np.arange(20_000)).sum() == 9_999
    assert (original[copies] == copies[0]).all()
