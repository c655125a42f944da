"""The probe runs what the run would: every stage, its own tables, its engine, its networks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.load import load_config
from raycluster.config.stages import Config
from raycluster.estimate import probe as module
from raycluster.estimate.probe import FEWEST_ROWS, probe
from raycluster.estimate.rates import Rates
from raycluster.models.requirements import with_model
from raycluster.stages import wanted_stages
from raycluster.stages.coarse_lists import number_of_lists
from raycluster.stages.stage import ProblemSize
from support import tiny
from support.estimates import planned

SMALL = ProblemSize(5000, 16, 1, 1, 50_000, 50_000)


def probed(config: Config, size: ProblemSize = SMALL) -> Rates:
    """Two sizes and no more."""
    return probe(planned(config, size), 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("tables", [False, True], ids=["searched", "with tables of neighbors and counts"])
def test_the_probe_times_every_stage_the_run_wants(
    tables: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys: dict[str, Any] = {"knn": {"k": 12}}
    if tables:
        pq.write_table(pa.table({"id": [1], "k": [1]}), tmp_path / "counts.parquet")
        keys = {"knn": {"k": 12, "source": "elsewhere"}, "topk": {"source": str(tmp_path / "counts.parquet")}}
    config = load_config("fc-es-sigmoid", keys, "test")
    rates = probed(config)
    wanted = [stage.name for stage in wanted_stages(config)]
    assert list(rates.tasks) == list(rates.once) == list(rates.compression) == wanted
    assert rates.rows == (FEWEST_ROWS, 2 * FEWEST_ROWS)
    assert capsys.readouterr().err.count("probe: ") == 2
    assert all(rate.seconds(1e6, 1e9) > 0 for rate in rates.tasks.values())
    assert all(0 < share < 3 for share in rates.compression.values())
    assert rates.edges_per_row is not None
    assert 0 < rates.edges_per_row[1] <= rates.edges_per_row[0] <= 11
    assert (rates.share, rates.share_growth) == (None, 0.0)
    assert 0 < rates.copy_seconds < 1e-3


@pytest.mark.slow
def test_a_probe_of_inverted_lists_measures_the_share_that_is_read() -> None:
    config = load_config("cosine", {"knn": {"k": 12, "index": "ivf", "probes": 4}}, "test")
    rates = probed(config)
    lists = number_of_lists(2 * FEWEST_ROWS, None)
    assert rates.share == pytest.approx(4 / lists)
    assert rates.share_growth == pytest.approx(-0.5, abs=0.01)
    assert rates.share_at(8 * FEWEST_ROWS) == pytest.approx(2 / lists, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("form", "recipe"), [("row", "sdt-row"), ("linkage", "face-transformer")])
def test_networks_are_timed_on_generated_rows(form: Any, recipe: str, tmp_path: Path) -> None:
    tiny.model(tmp_path, form, recipe=recipe, thresholds={"eta": 0.5})
    config = with_model(load_config(recipe, {"knn": {"k": tiny.K}, "model": str(tmp_path)}, "test"))
    rates = probed(config, replace(SMALL, width=tiny.WIDTH))
    assert list(rates.tasks) == [stage.name for stage in wanted_stages(config)]
    assert rates.tasks["relations"].seconds(1e6, 1e6 * tiny.K) > 0
    assert rates.gemm_gflops > 0


@pytest.mark.parametrize(
    ("size", "engine", "shards"),
    [
        (SMALL, "infomap", 1),
        (replace(SMALL, shards=2), "infomap", 2),
        (replace(SMALL, rows=10_000_000), "infomap", 2),
        (replace(SMALL, edges=5e6, links=5e6), "native", 1),
    ],
    ids=["one shard", "two shards", "one shard too large to score each pair once", "many links"],
)
def test_what_the_size_decides_is_decided_as_for_the_run(
    size: ProblemSize, engine: str, shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int, float | None]] = []

    def measure(config: Config, size: ProblemSize) -> str:
        seen.append((config.communities.engine, size.shards, config.communities.memory_gib))
        return "measured"

    monkeypatch.setattr(module, "_measure", measure)
    monkeypatch.setattr(module, "_rates", lambda config, sets, seconds: sets)
    config = load_config("cosine", {"knn": {"index": "exact"}, "communities": {"memory_gib": 0.5}}, "test")
    assert probed(config, size) == ["measured"] * (len(seen) - 1)
    assert set(seen) == {(engine, shards, None)}
