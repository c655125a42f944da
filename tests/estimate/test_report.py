"""The table of a forecast."""

from raycluster.config.load import load_config
from raycluster.estimate.costs import forecasts
from raycluster.estimate.forecast import Forecast
from raycluster.estimate.rates import stored_rates
from raycluster.estimate.report import duration, table
from support.estimates import HERE, a_size, planned


def test_durations_read_well() -> None:
    assert [duration(hours) for hours in (0.001, 0.5, 1.99, 12.04, 1234)] == [
        "3.6 s", "30.0 min", "119.4 min", "12.0 h", "1,234.0 h",
    ]  # fmt: skip


def test_the_table_has_a_line_per_stage_and_their_total() -> None:
    config, size = load_config("cosine"), a_size(1_000_000)
    rates = stored_rates(config, size)
    stages = tuple(forecasts(planned(config, size), rates))
    edges = {"stored": 40_000_000, "in_force": 30_000_000, "at_most": 79_000_000, "from": "a test"}
    forecast = Forecast(
        1_000_000, 256, 1, 4, edges, HERE, HERE, 1, stages, 0.5, None, 1.0,
        ("knn will not fit.",), (), rates, ("nothing",), config,
    )  # fmt: skip
    lines = table(forecast).splitlines()
    assert lines[0] == "1,000,000 rows of width 256 in 4 shards on this machine, driver this machine"
    assert lines[1] == "30,000,000 edges in force, 40,000,000 stored: a test; at most 79,000,000"
    grid = lines[3 : 3 + len(stages) + 2]
    assert [line.split()[0] for line in grid] == ["stage", *(stage.stage for stage in stages), "all"]
    assert len({len(line) for line in grid}) == 1, "columns are aligned"
    assert "30.0 min" in grid[-1]
    assert f"{max(stage.driver_gib for stage in stages):.2f}" in grid[-1]
    assert lines[-3:] == ["knn will not fit.", "Rates from stored rates of a two-core machine.", "Assumed: nothing."]
