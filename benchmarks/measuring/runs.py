"""Jobs, their scores, and the contents of their run folders.

No other module of the benchmarks opens a run folder.
"""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring.timing import seconds
from raycluster.arrays import Float32, Int32, Int64
from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.config.stages import Config
from raycluster.evaluation import truth
from raycluster.evaluation.evaluate import evaluate
from raycluster.executors.progress import Progress, Silence
from raycluster.limits.in_force import passes_limits
from raycluster.models.requirements import with_model
from raycluster.pipeline import run as pipeline
from raycluster.stages import STAGES
from raycluster.stages.edges import limits_of
from raycluster.stages.stage import row_shards
from raycluster.storage import node_cache, schemas


def clustered(source: str, url: str, config: Config, **execution: Any) -> dict[str, Any]:
    """Cluster a set to the run folder `url` and return the summary.

    Finished stages are only read. `execution` are fields of Execution; without any, the job runs in this process.
    `replan` allows another configuration than the folder's: stages that it does not change are kept.
    """
    return pipeline.cluster(source, url, config, Execution(**{"executor": "local", **execution}))


def evaluated(
    source: str, url: str, config: Config, sweep: tuple[float, ...] = (), *, replan: bool = False, **options: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cluster a labelled set; return the result of `evaluate` and the summary.

    `sweep` are values of the run's limit, which `evaluate` scores as well. `options` are other options of `evaluate`.
    """
    summary = clustered(source, url, config, replan=replan)
    return evaluate(url, source, sweep=sweep, **options), summary


def task_seconds(url: str) -> dict[str, list[float]]:
    """Return the seconds that the tasks of every stage took, by stage."""
    tables = pipeline.open_run(url)
    wanted = [stage.name for stage in STAGES if stage.is_wanted(tables.config)]
    return {name: [facts["seconds"] for facts in tables.task_facts(name)] for name in wanted}


def stored_bytes(url: str) -> dict[str, int]:
    """Return the size of every stage's table, of a local run folder."""
    folders = pipeline.open_run(url).folder.folders
    return {name: sum(file.stat().st_size for file in (Path(url) / folder).glob("part-*"))
            for name, folder in folders.items()}  # fmt: skip


def stored_edges(url: str) -> int:
    """Return the number of edges that a run stored, those below its limit included."""
    tables = pipeline.open_run(url)
    return sum(tables.folder.marker("edges", shard.number).rows for shard in row_shards(tables))


def numeric_limits(url: str) -> dict[str, float]:
    """Return the limits of a run's edges."""
    limits = limits_of(pipeline.open_run(url))
    names = ("theta", "eta", "threshold", "closeness", "similarity")
    return {name: getattr(limits, name) for name in names if getattr(limits, name) is not None}


def graph(url: str, limit: float | None = None) -> tuple[Int32, Int32, Int32, Int64]:
    """Return neighbors (N, K), source and target (E,) of edges, and identities (N,).

    `limit` takes the place of the run's own.
    """
    tables = pipeline.open_run(url)
    limits, config = limits_of(tables), tables.config.edges
    ends = [
        np.column_stack([block["source"], block["target"]])[passes_limits(block, config, limits, limit)]
        for block in tables.blocks("edges", schemas.EDGES.names)
    ]
    source, target = np.concatenate(ends).T
    neighbor = tables.column("knn", "neighbor")
    node_cache.remove(tables.folder)  # the maps stay
    return neighbor, source, target, _identities(tables, "label")


def labelled_rows(source: str, url: str, config: Config, label_column: str) -> tuple[Float32, Int64]:
    """Return unit vectors (N, D) and identities (N,) of a labelled Parquet.

    Rows are in the order of their ids. The stages up to the vectors run to the folder `url`. Identities are numbers
    from 0, or UNKNOWN where the label is null.
    """
    execution, progress = Execution("local"), Progress()
    with pipeline.opened(source, url, config, execution, progress) as tables:
        pipeline.run_stages(tables, execution, progress, until="embeddings")
        return np.array(tables.column("ingest", "embedding", "float32")), _identities(tables, label_column)


def _identities(tables: Any, label_column: str) -> Int64:
    row, labels = truth.labelled_rows(tables, label_column)
    identity = np.full(tables.rows, truth.UNKNOWN, np.int64)
    identity[row] = labels.indices.to_numpy()
    return identity


def model_seconds(recipe: str, rows: Any, k: int, threads: int) -> float:
    """Return the seconds in which a recipe's model scores all rows (N, D).

    Every row is scored with its `k` nearest neighbors.
    """
    unit = np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
    tables = pipeline.in_memory(unit, with_model(load_config(recipe, {"knn": {"k": k}}, "benchmark")), threads)
    pipeline.run_stages(tables, pipeline.LOCAL, Silence(), until="knn")
    return seconds(lambda: pipeline.run_stages(tables, pipeline.LOCAL, Silence(), until="relations"))
