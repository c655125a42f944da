"""Runs to estimate: a configuration at a size, on a machine with two cores and no price."""

from typing import Any

import pyarrow as pa

from raycluster.config.execution import Execution
from raycluster.config.stages import Config
from raycluster.estimate.costs import PlannedRun
from raycluster.executors.machines import Machine
from raycluster.stages.stage import ProblemSize

HERE = Machine("this machine", 2, 16.0, 100.0)


def a_size(rows: int, shards: int = 4, **changes: Any) -> ProblemSize:
    """Rows of width 256 with 30 edges per row in force and 40 stored."""
    fields: dict[str, Any] = {"edges": 40.0 * rows, "links": 30.0 * rows, **changes}
    return ProblemSize(rows, 256, shards, shards, **fields)


def planned(config: Config, size: ProblemSize, **changes: Any) -> PlannedRun:
    """A run on this machine, with int64 ids and a quarter of a GiB of libraries."""
    fields: dict[str, Any] = {
        "id_type": pa.int64(), "output_url": "s3://bucket/run", "execution": Execution(), "driver": HERE, "worker": HERE,
        "nodes": 1, "has_ray": False, "base_gib": 0.25, "plan_seconds": 1.0,
    }  # fmt: skip
    return PlannedRun(config, size, **(fields | changes))
