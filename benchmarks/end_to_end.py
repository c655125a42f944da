"""The whole job on local Ray, from Parquet to labels: how much of the time is not kNN, NEP and Infomap.

Ray is up before the clock starts. A stage's own seconds are those its workers spent computing, shared by the workers that
ran side by side; everything else (starting actors, reading, writing, planning, labels) counts as overhead. The peer is
the same stages in this process without Ray or storage, `Clusterer`.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import tyro

from measure import report, seconds
from raycluster import Clusterer
from raycluster.config.load import load_config
from raycluster.evaluation import metrics
from raycluster.executors import ray_data as ray_map
from raycluster.pipeline import run as pipeline
from raycluster.pipeline.run import STAGES, Execution
from raycluster.storage.run_folder import Run
from raycluster.synthetic.generator import SyntheticConfig, generate, write_parquet


@dataclass
class Args:
    """Size of the input."""

    rows: int = 100_000
    width: int = 256
    recipe: str = "fc-es"
    shards: int = 4


def main(args: Args) -> None:
    """Run once on Ray, once in this process, and compare time and labels."""
    described = SyntheticConfig(rows=args.rows, width=args.width, mean_size=40)
    config = load_config(args.recipe)
    with tempfile.TemporaryDirectory() as folder:
        source, output = f"{folder}/input", f"{folder}/run"
        write_parquet(described, source)
        ray_map.connect()
        workers = psutil.cpu_count() or 1
        summary: dict[str, object] = {}
        execution = Execution(executor="ray", shards=args.shards)
        total = seconds(lambda: summary.update(pipeline.cluster(source, output, config, execution)))
        run = Run(output, STAGES)
        inside = {
            "knn": sum(run.marker("knn", shard)["seconds"] for shard in range(run.shards)) / min(workers, run.shards),
            "edges": sum(run.marker("edges", shard)["seconds"] for shard in range(run.shards))
            / min(workers, run.shards),
            "communities": run.marker("communities", 0)["seconds"],
        }
        stored = sum(path.stat().st_size for path in Path(output).rglob("*") if path.is_file())
    blocks = list(generate(described))
    vectors, truth = np.concatenate([block[1] for block in blocks]), np.concatenate([block[2] for block in blocks])
    clusterer = Clusterer(args.recipe)
    alone = seconds(lambda: clusterer.fit(vectors))
    report({
        "benchmark": "end to end", "rows": args.rows, "width": args.width, "recipe": args.recipe, "shards": args.shards,
        "seconds": round(total, 1), "stages": summary["seconds"],
        "inside": {name: round(value, 1) for name, value in inside.items()},
        "outside_share": round(1 - sum(inside.values()) / total, 3),
        "clusterer_seconds": round(alone, 1), "run_folder_gib": round(stored / 2**30, 3),
        "clusters": summary["clusters"], "clusterer_bcubed_f": metrics.evaluate(truth, clusterer.labels_)["bcubed"]["f"],
    })  # fmt: skip


if __name__ == "__main__":
    main(tyro.cli(Args))
