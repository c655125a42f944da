"""The whole job on local Ray: the share of its time outside its kernels.

The kernels are kNN, edges and communities.

    python -m benchmarks end_to_end

Ray is up before the clock starts. A stage's own seconds are those that its workers computed, divided by the workers that
ran side by side. All else (starting actors, reading, writing, planning, labels) counts as overhead. The peer is
`Clusterer`: the same stages in this process, without Ray and storage.
"""

import tempfile
from dataclasses import dataclass

from benchmarks.measuring.machine import cores
from benchmarks.measuring.runs import clustered, stored_bytes, task_seconds
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import generated
from benchmarks.measuring.tables import Tables
from benchmarks.measuring.timing import peak_gib, timed
from raycluster import Clusterer
from raycluster.config.load import load_config
from raycluster.evaluation import metrics
from raycluster.executors.connection import connect
from raycluster.synthetic.generator import SyntheticConfig, write_parquet

KERNELS = ("knn", "edges", "communities")


@dataclass
class Args(Options):
    """Size of the input."""

    rows: int = 100_000
    width: int = 256
    recipe: str = "fc-es"
    shards: int = 4


def tables(args: Args) -> Tables:
    """Yield the seconds of the stages on Ray, then both ways beside each other."""
    described = SyntheticConfig(rows=args.rows, width=args.width, mean_size=40)
    config = load_config(args.recipe)
    with tempfile.TemporaryDirectory() as folder:
        source, url = f"{folder}/input", f"{folder}/run"
        write_parquet(described, source)
        connect()
        job = timed(lambda: clustered(source, url, config, executor="ray", shards=args.shards))
        workers = min(cores(), args.shards)
        computed = {name: sum(taken) / min(workers, len(taken)) for name, taken in task_seconds(url).items()}
        stored = sum(stored_bytes(url).values()) / 2**30
    elapsed = job.result["seconds"]
    yield (
        f"{args.recipe}, {args.rows:,} rows x {args.width}, {args.shards} shards on Ray",
        [{"stage": name, "seconds": elapsed.get(name, 0.0), "of its workers": computed[name]} for name in computed],
    )
    overhead = 1 - sum(computed[name] for name in KERNELS) / job.wall
    vectors, truth = generated(described)
    clusterer = Clusterer(args.recipe)
    alone = timed(lambda: clusterer.fit(vectors))
    bcubed = metrics.evaluate(truth, clusterer.labels_)["bcubed"]["f"]
    yield (
        "on Ray and in one process",
        [
            {"how": "Ray", "seconds": job.wall, "share outside kernels": overhead, "stored GiB": stored,
             "clusters": job.result["clusters"]},
            {"how": "Clusterer", "seconds": alone.wall, "clusters": int(clusterer.labels_.max()) + 1,
             "F_B": 100 * bcubed, "peak GiB": peak_gib()},
        ],
    )  # fmt: skip


BENCHMARK = Benchmark(Args, tables, quick=lambda _: Args(rows=2000, width=32, recipe="cosine", shards=2))
