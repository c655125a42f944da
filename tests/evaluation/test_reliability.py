"""Reliability by direct counting, average precision against scikit-learn, and both at their ends."""

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score

from raycluster.arrays import Bool, Floats
from raycluster.evaluation import reliability as measured

SCORES = hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(0, 1, width=16))
SEEDS = st.integers(0, 2**32 - 1)


def truths(score: Floats, seed: int) -> Bool:
    return np.random.default_rng(seed).random(len(score)) < 0.4


@settings(max_examples=60, deadline=None)
@given(SCORES, SEEDS, st.integers(1, 12))
def test_reliability_counts_every_pair_in_the_bin_it_lies_in(score: Floats, seed: int, bins: int) -> None:
    same = truths(score, seed)
    table = measured.reliability(score, same, bins)
    assert json.loads(json.dumps(table)) == table
    assert sum(row["count"] for row in table) == len(score)
    for row in table:
        own = (score >= row["low"]) & ((score < row["high"]) | (row["high"] == 1))
        assert row["count"] == own.sum() > 0
        assert row["mean_probability"] == pytest.approx(score[own].mean(dtype=np.float64))
        assert row["share_same"] == pytest.approx(same[own].mean())
    error = measured.expected_calibration_error(table)
    assert 0 <= error <= 1
    if bins == 1:
        assert error == pytest.approx(abs(score.mean(dtype=np.float64) - same.mean()))


def test_the_calibration_error_of_true_probabilities_is_small_and_of_false_ones_is_their_gap() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random(100_000)
    same = rng.random(100_000) < probability
    assert measured.expected_calibration_error(measured.reliability(probability, same)) < 0.01
    sure = measured.reliability(np.ones(4), np.array([True, False, False, False]))
    assert measured.expected_calibration_error(sure) == 0.75
    assert measured.expected_calibration_error([]) == 0


@settings(max_examples=100, deadline=None)
@given(SCORES, SEEDS)
def test_average_precision_is_that_of_scikit_learn(score: Floats, seed: int) -> None:
    same = truths(score, seed)
    assume(same.any())
    assert measured.average_precision(score, same) == pytest.approx(average_precision_score(same, score))


def test_average_precision_at_the_ends() -> None:
    score = np.arange(10.0)
    assert measured.average_precision(score, score >= 6) == 1
    assert measured.average_precision(score, score < 0) == 0
    assert measured.average_precision(np.ones(10), score >= 6) == 0.4
