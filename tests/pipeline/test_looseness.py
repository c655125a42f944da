"""Looseness of clusters against a count of pairs, one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.pipeline.looseness import WAY, looseness


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.8), st.floats(-0.1, 0.5))
def test_shares_are_those_of_a_count(seed, threshold, median):
    rng = np.random.default_rng(seed)
    near = rng.random((12, 5)).astype(np.float32)
    is_listed, is_inside = rng.random((2, 12, 5)) < 0.7
    pairs = [
        (float(s), bool(i)) for s, i, listed in zip(near.flat, is_inside.flat, is_listed.flat, strict=True) if listed
    ]
    inside = [s for s, i in pairs if i]
    above = sum(s >= threshold for s, _ in pairs)
    found = looseness(near, is_listed, is_inside, threshold, median)
    assert found.loose == pytest.approx(sum(s < threshold for s in inside) / max(len(inside), 1))
    band = WAY * (threshold - median)
    assert found.borderline == pytest.approx(sum(abs(s - threshold) < band for s, _ in pairs) / max(above, 1))
    assert looseness(near, is_listed, is_inside, threshold, None).borderline is None


def test_nothing_listed_is_not_loose():
    nothing = np.zeros((3, 4), bool)
    assert looseness(np.zeros((3, 4), np.float32), nothing, nothing, 0.5, 0.0) == (0.0, 0.0)
