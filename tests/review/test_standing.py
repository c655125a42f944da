"""Ranks as numbers that add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.review.standing import ranked, tail


def test_the_tail_is_the_log_share_of_what_is_at_least_as_high():
    assert tail(np.array([1.0, 3.0, 3.0, 2.0])) == pytest.approx(-np.log([1, 0.5, 0.5, 0.75]))


def test_a_missing_value_stands_lowest():
    assert tail(np.array([np.nan, 1.0])) == pytest.approx([0, np.log(2)])


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30))
def test_only_the_order_of_values_counts(values):
    value = np.round(np.array(values), 3)
    assert tail(value) == pytest.approx(tail(2 * value + 1))


def test_equal_standings_go_by_number():
    assert ranked(np.array([1.0, 2.0, 1.0]), np.array([9, 5, 3])).tolist() == [1, 2, 0]
