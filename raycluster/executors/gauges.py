"""Prometheus gauges of a run: Ray exports them beside its own, for any dashboard."""

import sys
from typing import Any

from raycluster.executors import reach

NAMES = {
    "rows": "Rows of the stage that runs",
    "rows_done": "Rows of the stage that are done",
    "rows_per_second": "Rows per second of the stage",
    "seconds_left": "Seconds left of the stage",
    "machine_hours": "Hours of all machines since this start of the job",
    "usd": "US dollars of all machines since this start of the job",
}
"""Gauges by the key of progress.json that they show."""
_gauges: dict[str, Any] = {}


def machines() -> int:
    """Return the machines of the cluster; one where Ray does not run."""
    ray = _ray()
    return 1 if ray is None else max(1, sum(node["Alive"] for node in ray.nodes()))


def show(run: str, values: dict[str, Any]) -> None:
    """Set the gauges `raycluster_*` of a run; nothing where Ray does not run."""
    if _ray() is None:
        return
    from ray.util.metrics import Gauge

    for name, words in NAMES.items():
        if name not in _gauges:
            _gauges[name] = Gauge(f"raycluster_{name}", description=words, tag_keys=("run", "stage"))
        if values.get(name) is not None:
            _gauges[name].set(float(values[name]), tags={"run": run, "stage": str(values["stage"])})


def _ray() -> Any:
    """Return Ray where it is imported and connected."""
    ray = sys.modules.get("ray")
    return ray if ray is not None and not reach.is_lost() and ray.is_initialized() else None
