"""A forecast as a table for people."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raycluster.estimate.forecast import Forecast

PEAKS = {"driver_gib": "driver GiB", "worker_gib": "worker GiB", "object_store_gib": "object store", "node_disk_gib": "node disk"}  # fmt: skip # noqa: E501
"""Columns of which a run takes the largest: peaks, and disk and object store of one node."""
SUMS = {"stored_gib": "stored GiB", "moved_gib": "moved GiB"}
COLUMNS = {name: name for name in ("stage", "where", "tasks", "processes", "time")} | {"usd": "USD", **PEAKS, **SUMS}
"""Heading by field of a stage's forecast."""


def table(forecast: "Forecast") -> str:
    """Return the whole forecast in lines."""
    worker, edges, stages = forecast.worker, forecast.edges, [asdict(stage) for stage in forecast.stages]
    nodes = f"{forecast.nodes} x {worker.name}" if worker.network_gib_s else worker.name
    total = {name: max(stage[name] for stage in stages) for name in PEAKS}
    total |= {name: sum(stage[name] for stage in stages) for name in SUMS}
    total |= {"stage": "all", "hours": forecast.hours, "usd": forecast.usd}
    lines = [
        f"{forecast.rows:,} rows of width {forecast.width} in {forecast.shards} shards on {nodes}, driver {forecast.driver.name}",
        f"{edges['in_force']:,} edges in force, {edges['stored']:,} stored: {edges['from']}; at most {edges['at_most']:,}",
        "", *_grid([stage | {"time": duration(stage["hours"])} for stage in [*stages, total]]), "",
        *(forecast.will_not_fit or ["All stages fit."]), *forecast.slow,
        f"Rates from {forecast.rates.basis}.", *(f"Assumed: {line}." for line in forecast.assumed),
    ]  # fmt: skip
    return "\n".join(lines)


def duration(hours: float) -> str:
    """Return a time in the unit that a person would use."""
    if hours < 1 / 30:
        return f"{hours * 3600:.1f} s"
    return f"{hours * 60:.1f} min" if hours < 2 else f"{hours:,.1f} h"


def _grid(stages: list[dict[str, Any]]) -> list[str]:
    """Return a line of headings and one per stage: words left and numbers right."""
    lines = [list(COLUMNS.values()), *([_cell(stage.get(name)) for name in COLUMNS] for stage in stages)]
    forms = [f"{'<' if at < 2 else '>'}{max(map(len, column))}" for at, column in enumerate(zip(*lines, strict=True))]
    return ["  ".join(map(format, line, forms)) for line in lines]


def _cell(value: str | float | None) -> str:
    return f"{value:.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value or ""
