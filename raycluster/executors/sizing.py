"""How many workers a stage gets, and of what size."""

import os
from dataclasses import dataclass

import psutil

from raycluster.config.execution import Execution

ADDRESS = "RAY_ADDRESS"
"""Variable that names a cluster to connect to. Ray sets it for submitted jobs."""
OBJECT_STORE_BYTES = 2**28
"""Memory of a local Ray's object store, which carries task numbers and nothing larger. Ray refuses less than 75 MiB."""


@dataclass(frozen=True)
class Crew:
    """Who runs the tasks of one stage."""

    tasks: int
    processes: int
    threads: int
    """Threads of one process."""
    nodes: int = 1
    is_driver: bool = True
    has_gpu: bool = False
    """Whether every process has a GPU."""


def own_threads() -> int:
    """Return the processors that this process may use; those of the machine where the system has no such limit."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def own_bytes() -> int:
    """Return the memory that this process holds now: before a run, its libraries."""
    return int(psutil.Process().memory_info().rss)


def uses_ray(shards: int, execution: Execution) -> bool:
    """Whether Ray runs the tasks that are not the driver's, in a run of so many row shards."""
    if execution.executor == "auto":
        return shards > 1 or has_cluster()
    return execution.executor == "ray"


def has_cluster() -> bool:
    """Whether a Ray cluster is there to connect to, rather than one to start."""
    return bool(os.environ.get(ADDRESS))


def joins_cluster(execution: Execution) -> bool:
    """Whether a run takes part in a cluster that is there."""
    return has_cluster() and execution.executor != "local"


def pool(shards: int, workers: int | None, nodes: int, room: int, smallest: int) -> tuple[int, int]:
    """Return the number of workers for `shards` tasks, and the CPUs of each.

    Parameters
    ----------
    workers
        The most workers; none for no limit.
    nodes
        Nodes of the cluster.
    room
        Workers for which the nodes have room, together; 0 gives one worker per shard.
    smallest
        The fewest CPUs of a node.
    """
    size = min(shards, workers or room or shards)
    on_one_node = -(-size // max(1, nodes))
    return size, max(1, smallest // on_one_node)
