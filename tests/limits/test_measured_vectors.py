"""Vectors that come with their random pairs."""

import numpy as np

from raycluster.limits.measured_vectors import MeasuredVectors
from raycluster.limits.random_pairs import RandomPairs, sample_pairs
from support.data import unit_rows


def test_pairs_are_not_drawn_again_and_rows_are_read_as_before() -> None:
    rows = unit_rows(20, 4, 0)
    measured = MeasuredVectors(rows, lambda: RandomPairs(0.1, 0.2))
    assert sample_pairs(measured) == RandomPairs(0.1, 0.2) != sample_pairs(rows)
    assert len(measured) == 20
    np.testing.assert_array_equal(measured[[3, 5]], rows[[3, 5]])
