"""Seconds per unit of work of every stage: fitted to a probe, or declared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Floats
from raycluster.config.stages import Config
from raycluster.stages import wanted_stages
from raycluster.stages.stage import ProblemSize

SHORTEST_SECONDS = 1e-3
"""Seconds that count as one millisecond where less were measured: a clock's noise must not outweigh all other sets."""
STORED_ROWS, STORED_THREADS, STORED_GFLOPS = 100_000, 2, 150.0
"""Rows, threads and float32 rate of the run that stored rates are from: width 256, K 80, recipe `cosine`, 2026-11-24."""
STORED_COPY_SECONDS, STORED_TASK_SECONDS = 8e-9, 0.02
"""Seconds of that run per byte of a node-local copy, and of a task without work: files opened and written."""


@dataclass(frozen=True)
class Rate:
    """Seconds of a stage: `fixed` per task, `row` per row and `unit` per unit of work."""

    fixed: float
    unit: float
    row: float = 0.0

    @classmethod
    def fit(cls, terms: Floats, seconds: Sequence[float]) -> "Rate":
        """Return the non-negative rates nearest, by relative error, to seconds (M,).

        The terms (M, 1 or 2) are the units of work and, where both count, the rows of M sets.
        """
        from scipy.optimize import nnls  # a tenth of the time in which a job starts

        taken = np.maximum(seconds, SHORTEST_SECONDS)
        columns = np.column_stack([np.ones(len(taken)), terms])
        scales = np.maximum(columns.max(axis=0), 1e-300)
        return cls(*map(float, nnls(columns / scales / taken[:, None], np.ones(len(taken)))[0] / scales))

    def seconds(self, rows: float, work: float) -> float:
        """Return the seconds of one task of so many rows and units of work."""
        return self.fixed + self.row * rows + self.unit * work


@dataclass(frozen=True)
class Rates:
    """Rates of a recipe's stages, by name, and what was measured beside them."""

    basis: str
    """Where they are from."""
    rows: tuple[int, ...]
    """Sizes of the measured sets."""
    seconds: float
    """How long the probe took; 0 for stored rates."""
    threads: int
    gemm_gflops: float
    once: dict[str, Rate]
    """Of the driver's work."""
    tasks: dict[str, Rate]
    copy_seconds: float
    """Per byte of a node-local copy."""
    compression: dict[str, float]
    """Stored bytes of a table over those before compression."""
    edges_per_row: tuple[float, float] | None = None
    """Stored edges and edges in force of the largest set; none where none were counted."""
    share: float | None = None
    """Share of the rows that its search read per row; none where it read no inverted lists."""
    share_growth: float = 0.0
    """Exponent of that share in the rows, -0.5 (as many lists for any number of rows) to 0."""

    def share_at(self, rows: int) -> float | None:
        """Return the share that a search among so many rows reads per row."""
        return None if self.share is None else min(1.0, self.share * (rows / self.rows[-1]) ** self.share_growth)


def stored_rates(config: Config, size: ProblemSize) -> Rates:
    """Return the rates that stages declare, measured on two cores of an EPYC (Zen 4)."""
    costs = {stage.name: stage.cost(size, config) for stage in wanted_stages(config)}
    return Rates(
        "stored rates of a two-core machine", (STORED_ROWS,), 0.0, STORED_THREADS, STORED_GFLOPS,
        once={name: Rate(STORED_TASK_SECONDS if cost.once else 0.0, cost.once_rate) for name, cost in costs.items()},
        tasks={name: Rate(STORED_TASK_SECONDS, cost.rate) for name, cost in costs.items()},
        copy_seconds=STORED_COPY_SECONDS,
        compression={name: cost.compression for name, cost in costs.items()},
    )  # fmt: skip
