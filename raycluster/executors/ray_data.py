"""With ray_train, the only module that imports ray: shards of a stage mapped over a pool of actors by Ray Data.

A dataset holds one row a shard. Actors read and write storage themselves and return only what happened to a shard, so
the object store never carries a table. An actor that dies is replaced and its shard tried again.
"""

import contextlib
import logging
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Literal

if "ray" not in sys.modules:  # Ray reads these when it is first imported, its child processes when they start
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

import ray
import ray.data

from raycluster.errors import RayclusterError
from raycluster.storage.parquet_input import OBJECT_STORE_BYTES, pool

Worker = Callable[[int], dict[str, Any]]


class ShardActor:
    """One worker process: builds the stage's worker once and hands it a shard at a time."""

    def __init__(self, worker: Callable[..., Worker], url: str, stage: str, threads: int, session: str) -> None:
        self._worker = worker(url, stage, threads, session)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Run the batch's one shard."""
        return {name: [value] for name, value in self._worker(int(batch["shard"][0])).items()}


def map_shards(
    worker: Callable[..., Worker],
    url: str,
    stage: str,
    shards: list[int],
    workers: int | None,
    accelerator: Literal["gpu", "cpu", "auto"],
) -> Iterator[dict[str, Any]]:
    """Yield what `worker(url, stage, threads, session)` says of each shard, in the order they finish.

    `workers` caps the actors; none means as many as the cluster has room for now. `accelerator` gpu gives every actor a
    GPU and waits for one; auto does so where the cluster shows any. Raises RayclusterError where Ray itself fails.
    """
    connect()
    gpu = accelerator == "gpu" or (accelerator == "auto" and ray.cluster_resources().get("GPU", 0) > 0)
    size, cpus = pool_size(len(shards), workers, gpu)
    dataset = ray.data.from_items([{"shard": shard} for shard in shards], override_num_blocks=len(shards)).map_batches(
        ShardActor,
        fn_constructor_args=(worker, url, stage, cpus, uuid.uuid4().hex[:8]),
        batch_size=1,
        num_cpus=cpus,
        num_gpus=1 if gpu else None,
        compute=ray.data.ActorPoolStrategy(size=size),
    )
    try:
        yield from dataset.iter_rows()
    except ray.exceptions.RayError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise RayclusterError(
            f"A worker of stage {stage} failed: {lines[-1] if lines else type(error).__name__}"
        ) from None


def connect() -> None:
    if ray.is_initialized():
        return
    local = {} if os.environ.get("RAY_ADDRESS") else _local_cluster()
    try:
        with _native_stderr_muted():
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **local)
    except (ConnectionError, RuntimeError) as error:
        reason = " ".join(str(error).split("Traceback")[0].split())
        raise RayclusterError(f"The Ray cluster at {os.environ.get('RAY_ADDRESS', 'this machine')}: {reason}") from None
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1
    context.raise_original_map_exception = True


@contextlib.contextmanager
def _native_stderr_muted() -> Iterator[None]:
    """Ray's native code greets on file descriptor 2, whatever its log level."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _local_cluster() -> dict[str, Any]:
    cpus = len(os.sched_getaffinity(0))
    return {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}


def pool_size(shards: int, workers: int | None, gpu: bool) -> tuple[int, int]:
    """Actors to ask for and CPUs for each: what fills the cluster of this moment.

    Where it has no worker yet, an actor a shard is asked for, and an autoscaler starts what it may.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    kind = "GPU" if gpu else "CPU"
    room = int(sum(node.get(kind, 0) for node in nodes))
    smallest = min((int(node["CPU"]) for node in nodes), default=1)
    return pool(shards, workers, len(nodes), room, smallest)
