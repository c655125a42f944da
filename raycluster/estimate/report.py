"""An estimate as a table for people."""

from typing import Any

COLUMNS = {
    "stage": ("stage", "{}"), "where": ("where", "{}"), "tasks": ("tasks", "{:,}"), "processes": ("processes", "{:,}"),
    "time": ("time", "{}"), "usd": ("USD", "{:.2f}"), "driver_gib": ("driver GiB", "{:.2f}"),
    "worker_gib": ("worker GiB", "{:.2f}"), "object_store_gib": ("object store", "{:.2f}"),
    "node_disk_gib": ("node disk", "{:.2f}"), "stored_gib": ("stored GiB", "{:.2f}"), "moved_gib": ("moved GiB", "{:.2f}"),
}  # fmt: skip
"""Key of a stage's entry: heading and format. GiB are peaks, disk and store per node."""


def table(found: dict[str, Any]) -> str:
    """The whole estimate in lines."""
    worker, edges = found["worker"], found["edges"]
    nodes = f" on {found['nodes']} x {worker['name']}" if worker["network_gib_s"] else f" on {worker['name']}"
    lines = [
        f"{found['rows']:,} rows of width {found['width']} in {found['shards']} shards{nodes}, driver {found['driver']['name']}",
        f"{edges['in_force']:,} edges in force, {edges['stored']:,} stored: {edges['from']}; at most {edges['at_most']:,}",
        "",
        *_grid([_line(stage) for stage in [*found["stages"], _total(found)]]),
        "",
        *found["will_not_fit"],
    ]
    if not found["will_not_fit"]:
        lines.append("All stages fit.")
    lines += found["slow"]
    return "\n".join(
        [*lines, f"Rates from {found['rates']['from']}.", *(f"Assumed: {line}." for line in found["assumed"])]
    )


def _total(found: dict[str, Any]) -> dict[str, Any]:
    sums = {name: sum(stage[name] for stage in found["stages"]) for name in ("stored_gib", "moved_gib")}
    peaks = ("driver_gib", "worker_gib", "object_store_gib", "node_disk_gib")
    most = {name: max(stage[name] for stage in found["stages"]) for name in peaks}
    return {"stage": "all", "hours": found["hours"], "usd": found["usd"], **sums, **most}


def duration(hours: float) -> str:
    """In the unit that a person would use."""
    if hours < 1 / 30:
        return f"{hours * 3600:.1f} s"
    return f"{hours * 60:.1f} min" if hours < 2 else f"{hours:,.1f} h"


def _line(stage: dict[str, Any]) -> list[str]:
    stage = {**stage, "time": duration(stage["hours"])}
    return ["" if stage.get(key) is None else form.format(stage[key]) for key, (_, form) in COLUMNS.items()]


def _grid(lines: list[list[str]]) -> list[str]:
    """Cells padded to columns, words left and numbers right."""
    cells = [[heading for heading, _ in COLUMNS.values()], *lines]
    widths = [max(len(line[at]) for line in cells) for at in range(len(COLUMNS))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in cells]
    for line, plain in zip(padded, cells, strict=True):
        line[2:] = [cell.rjust(width) for cell, width in zip(plain[2:], widths[2:], strict=True)]
    return ["  ".join(line) for line in padded]
