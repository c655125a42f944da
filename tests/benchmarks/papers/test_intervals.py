"""Means with intervals and paired differences, against scipy and values by hand."""

import pytest
from scipy import stats

from benchmarks.papers._intervals import claim, in_words, interval, verdict


def test_an_interval_is_that_of_students_t() -> None:
    mean, half = interval([1.0, 2.0, 4.0])
    low, high = stats.t.interval(0.95, 2, loc=7 / 3, scale=stats.sem([1.0, 2.0, 4.0]))
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert interval([3.0]) == (3.0, float("inf"))
    assert in_words([3.0]) == "3.00"
    assert in_words([1.0, 1.0], "+") == "+1.00 ± 0.00"


def test_a_claim_holds_only_outside_its_interval() -> None:
    assert verdict([0.9, 1.0, 1.1]) == "holds"
    assert verdict([-0.9, -1.0, -1.1]) == "does not hold"
    assert verdict([-1.0, 1.0, 0.5]) == "open"
    assert verdict([5.0]) == "open"


def test_a_claim_is_of_the_seeds_and_scores_that_both_have() -> None:
    better = {
        1: {"F_P": 3.0, "F_B": 4.0, "NMI": 1.0},
        2: {"F_P": 5.0, "F_B": 6.0, "NMI": 1.0},
        7: {"F_P": 0.0, "F_B": 0.0},
    }
    other = {seed: {"F_P": 0.0, "F_B": 2.0 * seed} for seed in (1, 2, 3)}
    row = claim("more is better", better, other, ("F_P", "F_B", "NMI"))
    assert row == {
        "claim": "more is better",
        "F_P": in_words([3.0, 5.0], "+"),
        "F_B": "+2.00 ± 0.00",
        "by F_B it": "holds",
    }
