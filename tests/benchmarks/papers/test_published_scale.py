"""The steps that a budget leaves, and the forecast."""

import pytest

from benchmarks.papers.published_scale import Args, budgeted, forecast, steps_within
from raycluster.errors import ConfigError

COST = {
    "device": "cpu",
    "threads": 2,
    "seconds per step": 2.0,
    "processor seconds per step": 3.0,
    "batch": 100,
    "pairs per row": 3.0,
    "GFLOP per pair and step": 5.0,
}


def test_the_steps_and_all_scores_fit_into_the_budget() -> None:
    scores = 2 * 1000 * 3 / 100 * 2 / 3  # two sets of 3,000 pairs, a third of a step per batch
    steps = steps_within(10, COST, 1000)
    assert steps * 2.0 * 1.5 + scores <= 0.9 * 600 < (steps + 1) * 2.0 * 1.5 + scores


def test_a_budget_that_scores_alone_exceed_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"minutes is 0\.5: scores alone take about 1; give more"):
        steps_within(0.5, COST, 1000)


def test_the_forecast_counts_eight_epochs_of_all_pairs() -> None:
    here, gpu = forecast(Args("work", rows=1000, batch=100, gpu_tflops=1.0), COST)
    assert (here["pairs"], here["steps"]) == (3000, 240)
    assert here["hours"] == pytest.approx(240 * 1.5 / 3600)
    assert gpu["hours"] == pytest.approx(8 * 3000 * 5e9 / 1e12 / 3600)


def test_the_filter_takes_rows_in_proportion_to_the_pairs_of_a_step() -> None:
    for batch, rows in ((256, 1024), (16, 64)):
        training = budgeted(Args("work", batch=batch), steps=40)["training"]
        assert training["filter"]["fit"]["batch"] == rows
        assert training["predictor"]["fit"]["batch"] == batch
        assert training["filter"]["fit"]["steps"] == training["predictor"]["fit"]["steps"] == 40
        assert training["filter"]["fit"]["warmup_steps"] == 20
