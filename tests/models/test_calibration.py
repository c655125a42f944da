"""Platt scaling against scikit-learn, Top-K confidence by direct counting, and what both must hold for any input."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.linear_model import LogisticRegression

from raycluster.arrays import Bool, Floats
from raycluster.models import calibration

SEEDS = st.integers(0, 2**32 - 1)


def truths(score: Floats, seed: int) -> Bool:
    return np.random.default_rng(seed).random(len(score)) < 0.4


def logits(seed: int, slope: float, intercept: float, size: int = 400) -> tuple[Floats, Bool]:
    """Pairs whose truth follows sigmoid(slope logit + intercept)."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 3, size)
    return logit, rng.random(size) < 1 / (1 + np.exp(-(slope * logit + intercept)))


def smoothed(same: Bool) -> Floats:
    """Platt's targets."""
    true, other = int(same.sum()), int((~same).sum())
    return np.where(same, (true + 1) / (true + 2), 1 / (other + 2))


def loss(logit: Floats, same: Bool, slope: float, intercept: float) -> float:
    """Mean cross-entropy against Platt's targets."""
    z, target = slope * logit.astype(np.float64) + intercept, smoothed(same)
    return float((np.logaddexp(0, z) - target * z).mean())


def logistic_regression(logit: Floats, same: Bool) -> LogisticRegression:
    """scikit-learn's on Platt's targets: every pair once as true and once as other, weighted."""
    target = smoothed(same)
    return LogisticRegression(C=1e10, tol=1e-10, max_iter=10_000).fit(
        np.concatenate([logit, logit])[:, None], np.repeat([1, 0], len(logit)), np.concatenate([target, 1 - target])
    )


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.floats(0.1, 5), st.floats(-4, 4))
def test_platt_is_logistic_regression_on_the_smoothed_targets(seed: int, slope: float, intercept: float) -> None:
    logit, same = logits(seed, slope, intercept)
    oracle = logistic_regression(logit, same)
    assume(oracle.coef_[0, 0] > 1e-3)
    found = calibration.platt(logit, same)
    np.testing.assert_allclose(found, (oracle.coef_[0, 0], oracle.intercept_[0]), rtol=1e-3, atol=1e-3)
    assert loss(logit, same, *found) <= loss(logit, same, oracle.coef_[0, 0], oracle.intercept_[0]) + 1e-9


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6)), SEEDS,
    st.floats(0.5, 2), st.floats(-1, 1),
)  # fmt: skip
def test_platt_is_finite_increasing_and_no_other_is_likelier(
    logit: Floats, seed: int, factor: float, shift: float
) -> None:
    same = truths(logit, seed)
    slope, intercept = calibration.platt(logit, same)
    assert 0 < slope < math.inf
    assert math.isfinite(intercept)
    assert loss(logit, same, slope, intercept) <= loss(logit, same, slope * factor, intercept + shift) + 1e-6
    assert abs((calibration.probability(logit, slope, intercept) - smoothed(same)).mean()) < 1e-4


def test_platt_finds_the_curve_the_pairs_were_drawn_from() -> None:
    slope, intercept = calibration.platt(*logits(0, 0.7, -1.2, size=200_000))
    assert (slope, intercept) == pytest.approx((0.7, -1.2), abs=0.02)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_platt_of_separable_pairs_is_steep_and_not_certain(scale: float) -> None:
    logit = np.concatenate([np.linspace(-3, -1, 50), np.linspace(1, 3, 50)])
    same = logit > 0
    probability = calibration.probability(logit * scale, *calibration.platt(logit * scale, same))
    np.testing.assert_allclose(
        probability, logistic_regression(logit, same).predict_proba(logit[:, None])[:, 1], atol=1e-4
    )
    assert 0.85 < probability[same].min() <= probability[same].max() < 1


def test_platt_of_logits_that_tell_the_opposite_or_nothing_gives_the_share_of_true_pairs() -> None:
    same = np.arange(1000) < 250
    for logit in (np.linspace(0, 1, 1000), np.full(1000, 0.1), np.zeros(1000, np.float32)):
        slope, intercept = calibration.platt(logit, same)
        assert slope > 0
        np.testing.assert_allclose(calibration.probability(logit, slope, intercept), 0.25, atol=0.002)


@pytest.mark.parametrize("value", [True, False])
def test_platt_of_one_kind_of_pair_leans_its_way(value: bool) -> None:
    logit = np.random.default_rng(0).normal(size=100)
    probability = calibration.probability(logit, *calibration.platt(logit, np.full(100, value)))
    np.testing.assert_allclose(probability, 101 / 102 if value else 1 / 102, atol=1e-4)


def test_probability_is_stable_and_keeps_the_dtype() -> None:
    logit = np.array([-1e30, -800, 0, 800, 1e30], np.float32)
    with np.errstate(all="raise", under="ignore"):
        found = calibration.probability(logit, 2.0, 0.0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array([0, 0, 0.5, 1, 1], np.float32))


@st.composite
def predictions(draw: st.DrawFn) -> tuple[Any, Any, int]:
    k = draw(st.integers(2, 45))
    rows = draw(st.integers(0, 40))
    counts = hnp.arrays(np.int64, rows, elements=st.integers(1, k))
    return draw(counts), draw(counts), k


@settings(max_examples=60, deadline=None)
@given(predictions(), st.integers(0, 12))
def test_topk_confidence_is_direct_counting(case: tuple[Any, Any, int], within: int) -> None:
    predicted, true, k = case
    table = calibration.topk_confidence(predicted, true, k, within)
    assert json.loads(json.dumps(table)) == table
    assert sum(row["count"] for row in table) == len(predicted)
    for row in table:
        own = (predicted >= row["low"]) & (predicted <= row["high"])
        error = np.abs(predicted[own] - true[own])
        assert row["low"] % 10 == 1
        assert row["high"] == min(row["low"] + 9, k)
        assert row["count"] == own.sum() > 0
        assert row["share"] == pytest.approx((error <= within).mean())
        assert row["mean_error"] == pytest.approx(error.mean())
    if table:
        confidence = calibration.confidence_of(table, predicted)
        assert confidence.dtype == np.float32
        for value, of in zip(predicted.tolist(), confidence, strict=True):
            assert of == np.float32(next(row["share"] for row in table if row["low"] <= value <= row["high"]))


def test_the_confidence_of_an_empty_bucket_is_that_of_the_nearest() -> None:
    table = calibration.topk_confidence(np.array([5, 35, 60]), np.array([50, 35, 90]), 80)
    found = calibration.confidence_of(table, np.array([1, 10, 20, 21, 30, 45, 46, 80]))
    np.testing.assert_array_equal(found, np.array([0, 0, 0, 1, 1, 1, 0, 0], np.float32))
    assert len(calibration.confidence_of(table, np.array([], np.int64))) == 0
