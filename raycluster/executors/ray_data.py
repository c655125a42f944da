"""Tasks of a stage mapped over a pool of actors by Ray Data.

A dataset holds one row per task. Actors read and write storage themselves and return only what happened to a task, so
the object store never carries a table, and a task that two actors ran counts once. An actor that dies is replaced and its
task tried again.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from raycluster.errors import RayclusterError
from raycluster.executors.connection import connect  # before ray, which reads its settings when it is first imported
from raycluster.executors.sizing import pool
from raycluster.executors.worker import StageWorker, TaskResult
from raycluster.stages import stage_named
from raycluster.storage.tables import Tables, Task

# isort: split
import ray
import ray.data

OpenTables = Callable[[str, int], Tables]
"""Run folder and threads to the tables that a worker reads and writes."""


class StageActor:
    """One worker process: opens the stage once and runs one task at a time."""

    def __init__(self, open_tables: OpenTables, url: str, stage: str, threads: int, session: str) -> None:
        self._worker = StageWorker(open_tables(url, threads), stage_named(stage), session)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Run the batch's one task."""
        task = Task(*(int(batch[name][0]) for name in ("number", "start", "stop")))
        return {name: [value] for name, value in vars(self._worker.run_reporting(task)).items()}


def run_on_ray(
    stage: str,
    tasks: Sequence[Task],
    open_tables: OpenTables,
    url: str,
    workers: int | None,
    accelerator: Literal["gpu", "cpu", "auto"],
) -> Iterator[TaskResult]:
    """Yield the result of every task, in the order they finish.

    Parameters
    ----------
    stage, tasks
        What to run.
    open_tables, url
        How a worker opens the run folder.
    workers
        The most actors; none means as many as the cluster has room for now.
    accelerator
        `gpu` gives every actor a GPU and waits for one; `auto` does so where the cluster shows any.

    Raises
    ------
    RayclusterError
        Where Ray itself fails.
    """
    connect()
    gpu = accelerator == "gpu" or (accelerator == "auto" and ray.cluster_resources().get("GPU", 0) > 0)
    size, cpus = pool_size(len(tasks), workers, gpu)
    rows = [{"number": task.number, "start": task.start, "stop": task.stop} for task in tasks]
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        StageActor,
        fn_constructor_args=(open_tables, url, stage, cpus, uuid.uuid4().hex[:8]),
        batch_size=1,
        num_cpus=cpus,
        num_gpus=1 if gpu else None,
        compute=ray.data.ActorPoolStrategy(size=size),
    )
    try:
        for row in dataset.iter_rows():
            yield TaskResult(**row)
    except ray.exceptions.RayError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise RayclusterError(
            f"A worker of stage {stage} failed: {lines[-1] if lines else type(error).__name__}"
        ) from None


def pool_size(shards: int, workers: int | None, gpu: bool) -> tuple[int, int]:
    """Return the number of actors and the CPUs of each that fill the cluster.

    Where it has no worker yet, there is one actor per shard, and an autoscaler starts what it may.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    kind = "GPU" if gpu else "CPU"
    room = int(sum(node.get(kind, 0) for node in nodes))
    smallest = min((int(node["CPU"]) for node in nodes), default=1)
    return pool(shards, workers, len(nodes), room, smallest)
