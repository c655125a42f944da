"""Seconds a unit of work on this machine: the run's own stages on small generated sets, each twice as large as the last."""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from raycluster.config.load import apply
from raycluster.config.stages import Config
from raycluster.estimate import laws
from raycluster.estimate.laws import Scale
from raycluster.pipeline.plan import begin
from raycluster.pipeline.run import STAGES
from raycluster.stages import communities, edges, embeddings
from raycluster.storage import node_cache as scratch
from raycluster.storage import schemas
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import describe_input
from raycluster.storage.run_folder import Run, Stage
from raycluster.synthetic.generator import SyntheticConfig, write_parquet

FEWEST_ROWS = 1024
MEAN_SIZE = 40.0
SIZES_FOR_ROWS = 4
GEMM_ROWS = 2048
Say = Callable[[str], None]


@dataclass(frozen=True)
class Rate:
    """Seconds of a stage: `fixed` a task, `row` a row and `unit` a unit of work."""

    fixed: float
    unit: float
    row: float = 0.0

    @classmethod
    def fit(cls, work: list[float], seconds: list[float], rows: list[int] | None = None) -> "Rate":
        """The nearest non-negative rates, by relative error, to measured seconds (M,) of work (M,) on `rows` (M,).

        What grows with the rows alone is told from what grows with the work only where there are `SIZES_FOR_ROWS` sizes.
        """
        from scipy.optimize import nnls  # a tenth of the time in which a job starts

        taken = np.maximum(seconds, 1e-6)
        terms = [np.ones(len(taken)), np.asarray(work, np.float64)]
        if rows is not None and len(taken) >= SIZES_FOR_ROWS:
            terms.append(np.asarray(rows, np.float64))
        columns = np.column_stack(terms)
        scales = np.maximum(columns.max(axis=0), 1e-300)
        found = nnls(columns / scales / taken[:, None], np.ones(len(taken)))[0] / scales
        return cls(*map(float, found))

    def seconds(self, rows: float, work: float, tasks: int = 1) -> float:
        """Seconds of so much work in so many tasks, one after another."""
        return self.fixed * tasks + self.row * rows + self.unit * work


@dataclass(frozen=True)
class Timing:
    """What one stage took on one set."""

    once: float
    """Seconds of its preparation, which the driver makes."""
    tasks: float
    """Seconds of all its tasks one after another, reading and writing included."""
    stored: int
    """Bytes of its table."""


@dataclass(frozen=True)
class Measured:
    """One set and all its stages."""

    scale: Scale
    stages: dict[str, Timing]
    copy_seconds: float
    copied: float
    """Bytes of node-local copies that `copy_seconds` made."""


@dataclass(frozen=True)
class Rates:
    """What the probe found: rates a stage with one task, and ratios that do not depend on the size."""

    once: dict[str, Rate]
    tasks: dict[str, Rate]
    copy_seconds: float
    """A byte of a node-local copy."""
    edges: float
    """Stored edges a row."""
    links: float
    """Edges in force a row."""
    share: float
    """Share of the rows that kNN reads a row, of the largest set."""
    share_growth: float
    """Exponent of that share in the rows, -0.5 (as many lists for any number of rows) to 0."""
    compression: dict[str, float]
    """Stored bytes of each stage's table as a share of its plain size."""
    threads: int
    """Threads all this was measured with."""
    gemm_gflops: float
    rows: tuple[int, ...]
    """Sizes of the sets."""
    seconds: float
    """How long the probe took; 0 for stored rates."""


def probe(config: Config, scale: Scale, budget: float, say: Say) -> Rates:
    """Run the stages of `config` on sets like the input in width: 1,024 rows or 8 k, then twice as many, and so on.

    What the run will choose by its size, the engine of communities and one task or several, is what is measured.

    At least two sizes, no more rows than `scale` has after that, and no new one that would pass `budget` seconds after a warm-up.
    Raising it brings the sets nearer to the real size.
    """
    size = max(FEWEST_ROWS, 8 * config.knn.k)
    tasks = 1 if laws.joins_itself(config, scale) else 2
    engine = communities.engine_for(int(scale.links), config.communities)
    config = apply(config, {"communities": {"engine": engine}}, "probe")
    _measure(config, scale.width, size, tasks)  # compiles the kernels, the first time for half a minute
    began = time.perf_counter()
    found: list[Measured] = []
    while True:
        start = time.perf_counter()
        found.append(_measure(config, scale.width, size, tasks))
        now = time.perf_counter()
        say(f"probe: {size:,} rows in {now - start:.1f} s")
        size *= 2
        if len(found) >= 2 and (now - began + 4 * (now - start) > budget or size > scale.rows):
            break
    return _rates(config, found, time.perf_counter() - began)


def _rates(config: Config, found: list[Measured], seconds: float) -> Rates:
    last = found[-1]
    once, tasks = {}, {}
    for name in last.stages:
        units = [laws.work(name, config, one.scale) for one in found]
        count = last.scale.shards if name not in ("ingest", "communities") else 1
        rows = [one.scale.rows for one in found]
        once[name] = Rate.fit([unit.once for unit in units], [one.stages[name].once for one in found])
        rate = Rate.fit([unit.tasks for unit in units], [one.stages[name].tasks for one in found], rows)
        tasks[name] = replace(rate, fixed=rate.fixed / count)
    plain = {name: laws.stored_bytes(name, config, last.scale) for name in last.stages}
    return Rates(
        once=once,
        tasks=tasks,
        copy_seconds=last.copy_seconds / last.copied,
        edges=last.scale.edges / last.scale.rows,
        links=last.scale.links / last.scale.rows,
        share=last.scale.share,
        share_growth=_growth([(one.scale.rows, one.scale.share) for one in found]),
        compression={name: last.stages[name].stored / max(plain[name], 1) for name in last.stages},
        threads=len(os.sched_getaffinity(0)),
        gemm_gflops=_gemm(),
        rows=tuple(one.scale.rows for one in found),
        seconds=seconds,
    )


def _growth(shares: list[tuple[int, float]]) -> float:
    rows, share = np.log(np.asarray(shares, np.float64)).T
    return float(np.clip(np.polyfit(rows, share, 1)[0], -0.5, 0.0))


def _gemm() -> float:
    """GFLOP/s of a float32 product, by which networks are scaled to a GPU."""
    matrix = np.ones((GEMM_ROWS, GEMM_ROWS), np.float32)
    matrix @ matrix
    began = time.perf_counter()
    matrix @ matrix
    return 2 * GEMM_ROWS**3 / (time.perf_counter() - began) / 1e9


def _measure(config: Config, width: int, rows: int, shards: int) -> Measured:
    with tempfile.TemporaryDirectory(prefix="raycluster-probe-") as folder:
        source = f"{folder}/input"
        write_parquet(SyntheticConfig(rows=rows, width=width, mean_size=MEAN_SIZE), source)
        described = describe_input(source)
        own = _for_generated(config, folder, rows)
        if config.knn.source is not None:
            table = replace(own, knn=replace(own.knn, source=None))
            run, _ = begin(f"{folder}/table", described, table, shards, False, STAGES, _silent)
            try:
                _timings(run, until="knn")
            finally:
                scratch.remove(run)
            own = replace(own, knn=replace(own.knn, source=run.store.name(run.folders["knn"])))
        run, _ = begin(f"{folder}/run", described, own, shards, False, STAGES, _silent)
        try:
            stages, copy_seconds, copied = _timings(run)
        finally:
            scratch.remove(run)
        stored = sum(run.marker("edges", shard)["rows"] for shard in range(run.shards))
        links = run.marker("communities", communities.best_trial(run))["links"]
        scale = Scale(rows, width, 1, run.shards, stored, links, _share(run))
        return Measured(scale, stages, copy_seconds, copied)


def _share(run: Run) -> float:
    """Share of the rows that a search reads, or would if that were not so much that it reads all."""
    config = run.config.knn
    if config.index != "ivf" or config.source is not None:
        return 1.0
    chosen = run.prepared("knn")
    return float(chosen.get("share", chosen["nearest"] / run.prepared("lists")["lists"]))


def _for_generated(config: Config, folder: str, rows: int) -> Config:
    """The configuration with the columns of generated rows; their counts, where the real ones have a table, are all k."""
    config = replace(config, id_column="id", embedding_column="embedding")
    if config.topk.source is None:
        return config
    counts = schemas.from_columns(
        pa.schema([("id", pa.int64()), ("k", pa.int16())]), id=np.arange(rows), k=np.full(rows, config.knn.k)
    )
    Store(folder).put_tables("counts.parquet", [counts])
    return replace(config, topk=replace(config.topk, source=f"{folder}/counts.parquet"))


def _timings(run: Run, until: str = "") -> tuple[dict[str, Timing], float, float]:
    """Seconds of every stage, and seconds and bytes of the copies that all later stages share."""
    found: dict[str, Timing] = {}
    copy_seconds, copied = 0.0, 0.0
    for stage in STAGES:
        if not stage.wanted(run.config):
            continue
        if found and stage.name in ("lists", "knn", "edges"):
            began = time.perf_counter()
            copied += _copy(run, stage)
            copy_seconds += time.perf_counter() - began
        began = time.perf_counter()
        run.prepare(stage)
        once = time.perf_counter() - began
        for shard in range(stage.shards(run)):
            run.commit(stage, shard, stage.compute(run, shard))
        tasks = time.perf_counter() - began - once
        stored = sum(
            os.path.getsize(run.store.name(name))
            for name in run.store.files(run.folders[stage.name])
            if "part-" in name
        )
        found[stage.name] = Timing(once, tasks, stored)
        if stage.name == until:
            break
    return found, copy_seconds, copied


def _copy(run: Run, stage: Stage) -> float:
    """Make the copies the stage reads, unless an earlier stage has; their bytes."""
    if stage.name == "edges":
        return float(sum(table.nbytes for table in edges.neighbors(run)))
    return float(embeddings.vectors(run).nbytes)


def _silent(_: str) -> None:
    """A probe's plan is nobody's news."""
