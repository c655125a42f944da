"""Rates: fitted exactly where the law holds, never negative; the probe runs what the run would."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.config.load import load_config
from raycluster.estimate.laws import Scale
from raycluster.estimate.probe import FEWEST_ROWS, Rate, probe
from raycluster.estimate.stored import stored_rates
from raycluster.models.requirements import with_model
from raycluster.pipeline.run import STAGES
from support import tiny

ROWS = [1024, 2048, 4096, 8192]
SMALL = Scale(5000, 16, 1, 1, 50_000, 50_000)


def test_a_law_that_holds_is_found() -> None:
    work = [float(rows) ** 2 for rows in ROWS]
    seconds = [0.5 + 1e-4 * rows + 3e-8 * rows**2 for rows in ROWS]
    found = Rate.fit(work, seconds, ROWS)
    assert [found.fixed, found.row, found.unit] == pytest.approx([0.5, 1e-4, 3e-8], rel=1e-6)
    assert found.seconds(1e6, 1e12) == pytest.approx(0.5 + 1e2 + 3e4, rel=1e-6)
    assert Rate.fit(work[:2], [0.5 + 3e-8 * one for one in work[:2]]).unit == pytest.approx(3e-8)


@given(st.lists(st.floats(1e-6, 100), min_size=2, max_size=6), st.booleans())
def test_no_noise_makes_time_run_backwards(seconds: list[float], by_rows: bool) -> None:
    rows = [1024 * 2**at for at in range(len(seconds))]
    found = Rate.fit([float(one) ** 2 for one in rows], seconds, rows if by_rows else None)
    assert min(found.fixed, found.unit, found.row) >= 0
    assert np.isfinite([found.fixed, found.unit, found.row]).all()
    larger = [found.seconds(one, one**2) for one in rows]
    assert larger == sorted(larger)


def test_a_stage_without_work_keeps_its_fixed_time() -> None:
    assert Rate.fit([0.0, 0.0], [0.25, 0.25]).seconds(1e9, 0.0) == pytest.approx(0.25)


@pytest.mark.parametrize("tables", [False, True], ids=["searched", "with tables of neighbors and counts"])
def test_the_probe_times_every_stage_the_run_wants(tables: bool, tmp_path: Path) -> None:
    keys: dict[str, Any] = {"knn": {"k": 12}}
    if tables:
        pq.write_table(pa.table({"id": [1], "k": [1]}), tmp_path / "counts.parquet")
        keys = {"knn": {"k": 12, "source": "elsewhere"}, "topk": {"source": str(tmp_path / "counts.parquet")}}
    config = load_config("fc-es-sigmoid", keys, "test")
    lines: list[str] = []
    found = probe(config, SMALL, 0.0, lines.append)
    wanted = [stage.name for stage in STAGES if stage.wanted(config)]
    assert list(found.tasks) == list(found.once) == wanted
    assert found.rows == (FEWEST_ROWS, 2 * FEWEST_ROWS)
    assert len(lines) == 2
    assert all(rate.seconds(1e6, 1e9) > 0 for rate in found.tasks.values())
    assert 0 < found.links <= found.edges <= 11
    assert (found.share, found.share_growth) == (1.0, 0.0)


def test_a_probe_of_inverted_lists_tells_the_share_that_is_read() -> None:
    config = load_config("cosine", {"knn": {"k": 12, "index": "ivf", "probes": 4}}, "test")
    found = probe(config, SMALL, 0.0, str)
    lists = round(8 * np.sqrt(2 * FEWEST_ROWS))
    assert found.share == pytest.approx(4 / lists)
    assert found.share_growth == pytest.approx(-0.5, abs=0.01)


@pytest.mark.parametrize(("form", "recipe"), [("row", "sdt-row"), ("linkage", "face-transformer")])
def test_networks_are_timed_on_generated_rows(form: Any, recipe: str, tmp_path: Path) -> None:
    tiny.model(tmp_path, form, recipe=recipe, thresholds={"eta": 0.5})
    config = with_model(load_config(recipe, {"knn": {"k": tiny.K}, "model": str(tmp_path)}, "test"))
    found = probe(config, replace(SMALL, width=tiny.WIDTH), 0.0, str)
    assert list(found.tasks) == [stage.name for stage in STAGES if stage.wanted(config)]
    assert found.tasks["relations"].seconds(1e6, 1e6 * tiny.K) > 0
    assert found.gemm_gflops > 0


def test_there_are_stored_rates_for_every_stage_of_every_network_free_recipe() -> None:
    for recipe in ("cosine", "components", "fc-es", "facemap"):
        config = load_config(recipe)
        wanted = {stage.name for stage in STAGES if stage.wanted(config)}
        rates = stored_rates(config, replace(SMALL, rows=1_000_000))
        assert set(rates.tasks) == wanted
        assert all(rate.seconds(1e6, 1e9) > 0 for rate in rates.tasks.values())
