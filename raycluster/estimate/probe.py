"""Seconds per unit of work on this machine, from the pipeline on generated sets."""

import os
import tempfile
import time
import timeit
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.config.stages import Config
from raycluster.estimate.costs import PlannedRun
from raycluster.estimate.rates import Rate, Rates
from raycluster.executors.progress import Progress
from raycluster.executors.sizing import own_threads
from raycluster.pipeline.run import LOCAL, opened, run_stages
from raycluster.pipeline.timing import StageTimes, TimedTables
from raycluster.stages import wanted_stages
from raycluster.stages.stage import ProblemSize
from raycluster.synthetic.generator import SyntheticConfig
from raycluster.synthetic.inputs import write_inputs

FEWEST_ROWS = 1024
"""Rows of the first set, or 8 K where that is more: below, tasks take milliseconds and their growth is noise."""
MEAN_SIZE = 40.0
"""Rows per identity of the generated sets. Raising it makes more edges, which decide where the input's are not sampled."""
SIZES_FOR_ROWS = 4
"""Sets from which time that grows with the rows is separated from time that grows with the work."""
GEMM_ROWS = 2048
"""Rows of the square product that measures float32: large enough for full speed, a fifth of a second on two cores."""


@dataclass(frozen=True)
class Measured:
    """One set, what its stages took and the bytes of their tables."""

    size: ProblemSize
    times: StageTimes
    stored: dict[str, int]


def probe(run: PlannedRun, budget: float) -> Rates:
    """Return rates from at least two generated sets, each twice as large as the last.

    No third set is larger than the run, or begun when it might pass `budget` seconds after a warm-up. What the run will
    choose by its size is what is measured: the engine of communities, one task or several.
    """
    config = run.config
    for stage in wanted_stages(config):
        config = stage.resolved(run.size, config)
    # One shard only where the run has one and a stage does other work because of that.
    one, two = ([run.cost(stage, shards=count).work for stage in wanted_stages(config)] for count in (1, 2))
    shards = 1 if run.size.shards == 1 and one != two else 2
    size = replace(run.size, rows=max(FEWEST_ROWS, 8 * config.knn.k), pieces=1, shards=shards)
    _measure(config, size)  # compiles the kernels, the first time for half a minute
    began, progress, sets = time.perf_counter(), Progress(), list[Measured]()
    while True:
        start = time.perf_counter()
        sets.append(_measure(config, size))
        now = time.perf_counter()
        progress.say(f"probe: {size.rows:,} rows in {now - start:.1f} s")
        size = replace(size, rows=2 * size.rows)
        if len(sets) >= 2 and (now - began + 4 * (now - start) > budget or size.rows > run.size.rows):
            return _rates(config, sets, time.perf_counter() - began)


def _measure(config: Config, size: ProblemSize) -> Measured:
    """Run the pipeline on one generated set."""
    times, stored, counted = StageTimes(), dict[str, int](), dict[str, Any]()
    with tempfile.TemporaryDirectory(prefix="raycluster-probe-") as folder:
        generated = SyntheticConfig(rows=size.rows, width=size.width, mean_size=MEAN_SIZE)
        config, execution = write_inputs(config, generated, folder), replace(LOCAL, shards=size.shards)
        with opened(f"{folder}/input", f"{folder}/run", config, execution, times) as tables:
            run_stages(TimedTables(tables, times), execution, times)
            for stage in wanted_stages(config):
                keys = [tables.folder.marker(stage.name, task).key for task in tables.finished(stage.name)]
                stored[stage.name] = sum(os.path.getsize(tables.folder.store.name(key)) for key in keys)
                counted |= stage.sizes(tables)
    return Measured(replace(size, **counted), times, stored)


def _rates(config: Config, sets: list[Measured], seconds: float) -> Rates:
    """Return rates fitted to all sets; the tasks of one share its fixed seconds."""
    rows, last, times = [one.size.rows for one in sets], sets[-1].size, sets[-1].times
    shares = [one.size.share for one in sets if one.size.share is not None]
    once, tasks, compression = {}, {}, {}
    for stage in wanted_stages(config):
        name, costs = stage.name, [stage.cost(one.size, config) for one in sets]
        once[name] = Rate.fit(np.array([[cost.once] for cost in costs]), [one.times.once[name] for one in sets])
        terms = np.array([[cost.work, one.size.rows] for cost, one in zip(costs, sets, strict=True)], np.float64)
        rate = Rate.fit(terms[:, : 1 + (len(sets) >= SIZES_FOR_ROWS)], [one.times.seconds[name] for one in sets])
        tasks[name] = replace(rate, fixed=rate.fixed / (costs[-1].tasks or last.shards))
        expected = stage.table_bytes(last, config, pa.int64())
        compression[name] = sets[-1].stored[name] / expected if expected else 1.0
    return Rates(
        "a probe of this machine", tuple(rows), round(seconds, 1), own_threads(), _gemm(), once, tasks,
        copy_seconds=times.copy_seconds / max(times.copied_bytes, 1), compression=compression,
        edges_per_row=(last.edges / last.rows, last.links / last.rows), share=last.share,
        share_growth=float(np.clip(np.polyfit(np.log(rows), np.log(shares), 1)[0], -0.5, 0.0)) if shares else 0.0,
    )  # fmt: skip


def _gemm() -> float:
    """Return the GFLOP/s of a float32 product, by which networks are scaled to a GPU."""
    matrix = np.ones((GEMM_ROWS, GEMM_ROWS), np.float32)
    seconds = min(timeit.repeat(lambda: matrix @ matrix, number=1, repeat=2))
    return round(2 * GEMM_ROWS**3 / seconds / 1e9, 1)
