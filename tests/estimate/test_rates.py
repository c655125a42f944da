"""Rates: fitted exactly where the law holds, never negative, stored ones for every recipe without a network."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.config.load import load_config
from raycluster.estimate.rates import Rate, stored_rates
from raycluster.stages import wanted_stages
from support.estimates import a_size

ROWS = np.array([1024.0, 2048, 4096, 8192])


def test_a_law_that_holds_is_fitted() -> None:
    work, seconds = ROWS**2, 0.5 + 1e-4 * ROWS + 3e-8 * ROWS**2
    rate = Rate.fit(np.column_stack([work, ROWS]), list(seconds))
    assert [rate.fixed, rate.row, rate.unit] == pytest.approx([0.5, 1e-4, 3e-8], rel=1e-6)
    assert rate.seconds(1e6, 1e12) == pytest.approx(0.5 + 1e2 + 3e4, rel=1e-6)
    assert Rate.fit(work[:2, None], list(0.5 + 3e-8 * work[:2])).unit == pytest.approx(3e-8)


@given(st.lists(st.floats(1e-6, 100), min_size=2, max_size=6), st.booleans())
def test_no_noise_makes_time_run_backwards(seconds: list[float], by_rows: bool) -> None:
    rows = 1024.0 * 2 ** np.arange(len(seconds))
    rate = Rate.fit(np.column_stack([rows**2, rows])[:, : 1 + by_rows], seconds)
    assert min(rate.fixed, rate.unit, rate.row) >= 0
    assert np.isfinite([rate.fixed, rate.unit, rate.row]).all()
    larger = [rate.seconds(size, size**2) for size in rows]
    assert larger == sorted(larger)


def test_a_stage_without_work_keeps_its_fixed_time() -> None:
    assert Rate.fit(np.zeros((2, 1)), [0.25, 0.25]).seconds(1e9, 0.0) == pytest.approx(0.25)


@pytest.mark.parametrize("recipe", ["cosine", "components", "fc-es", "facemap"])
def test_there_are_stored_rates_for_every_stage(recipe: str) -> None:
    config = load_config(recipe)
    rates = stored_rates(config, a_size(1_000_000))
    assert list(rates.tasks) == list(rates.once) == [stage.name for stage in wanted_stages(config)]
    assert all(rate.unit > 0 for rate in rates.tasks.values())
    assert all(0 < share <= 1 for share in rates.compression.values())
    assert rates.share_at(10**9) is rates.edges_per_row is None
