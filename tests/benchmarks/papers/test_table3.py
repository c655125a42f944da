"""Means with intervals, and the difference to the row above, against values by hand."""

import pytest
from scipy import stats

from benchmarks.papers.table3 import interval, summary


def test_an_interval_is_that_of_students_t() -> None:
    mean, half = interval([1.0, 2.0, 4.0])
    low, high = stats.t.interval(0.95, 2, loc=7 / 3, scale=stats.sem([1.0, 2.0, 4.0]))
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert interval([3.0]) == (3.0, 0.0)


def test_the_difference_to_the_row_above_is_per_seed() -> None:
    point = {"F_P": 1.0, "NMI": 1.0, "pair AP": 1.0, "seconds": 2.0, "parameters": 5}
    above = {seed: {**point, "F_B": float(seed)} for seed in (1, 2, 9)}
    points = {seed: {**point, "F_B": seed + 0.5} for seed in (1, 2)}
    row = summary(points, above)
    assert row["F_B less the row above"] == "+0.50 ± 0.00"
    assert row["F_B"].startswith("2.00 ± ")
    assert "F_B less the row above" not in summary(points, None)
