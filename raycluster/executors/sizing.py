"""How many workers a stage gets, and of what size."""

import os
from collections.abc import Callable, Sequence
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


@dataclass(frozen=True)
class Machine:
    """What one machine of a cluster offers."""

    cpus: int
    gpus: int = 0
    memory_bytes: float = 0.0
    """Memory for workers; 0 where nothing describes it."""


@dataclass(frozen=True)
class Fleet:
    """The machines of a cluster."""

    live: Sequence[Machine]
    startable: Sequence[Machine] = ()
    """Machines that an autoscaler may start in all, those that run included."""

    def with_room(self, has_gpu: bool) -> Sequence[Machine]:
        """Return the machines that workers can be on, now or later."""
        machines = max(self.live, self.startable, key=lambda kind: sum(one.gpus >= has_gpu for one in kind))
        return [machine for machine in machines if machine.gpus >= has_gpu]


@dataclass(frozen=True)
class Pool:
    """The workers of one stage."""

    most: int
    """Workers at most; the stage begins with the first."""
    cpus: int
    """CPUs and threads of each."""
    gpus: int = 0
    memory_bytes: int = 0
    """Memory that each reserves; 0 reserves none."""

    @property
    def bundle(self) -> dict[str, float]:
        """The resources of one worker, as Ray names them."""
        named = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory_bytes}
        return {name: amount for name, amount in named.items() if amount}


def own_machine() -> str | None:
    """Return the kind of this machine, such as m6id.8xlarge.

    The variable RAYCLUSTER_MACHINE names it; none where that is not set.
    """
    return os.environ.get("RAYCLUSTER_MACHINE") or None


def own_threads() -> int:
    """Return the processors that this process may use.

    Those of the machine where the system has no such limit.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def own_bytes() -> int:
    """Return the memory that this process holds now: before a run, its libraries."""
    return int(psutil.Process().memory_info().rss)


def uses_ray(shards: int, execution: Execution) -> bool:
    """Whether Ray runs the workers' tasks, in a run of so many row shards."""
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


def pool_for(
    shards: int,
    execution: Execution,
    fleet: Fleet,
    has_gpu: bool,
    worker_bytes: Callable[[int], float] = lambda threads: 0.0,
) -> Pool:
    """Return the workers of a stage on a cluster that may grow and shrink.

    Parameters
    ----------
    shards
        Its tasks.
    execution
        The most workers, and the CPUs of each where the user has chosen them. Without that choice, workers share out the
        machines that the cluster has or may start. No machine at all gives one worker per machine to come.
    fleet
        Those machines.
    has_gpu
        Whether each worker takes a GPU.
    worker_bytes
        Threads to the memory of a worker. Fewer workers share a machine where memory is short.

    Returns
    -------
    Pool
        As many workers as there are tasks, unless the user has limited them: nodes that join later take part.
    """
    machines = fleet.with_room(has_gpu)
    most = min(shards, execution.workers or shards)
    smallest = min(machines, key=lambda one: one.cpus, default=Machine(execution.cpus_per_worker or 1))
    room = sum(machine.gpus if has_gpu else machine.cpus for machine in machines)
    _, cpus = pool(shards, execution.workers, len(machines) or shards, room, smallest.cpus)
    cpus = execution.cpus_per_worker or cpus
    on_one_machine = max(1, smallest.cpus // cpus)
    needed = worker_bytes(cpus)
    if needed and smallest.memory_bytes:
        fit = max(1, int(smallest.memory_bytes // needed))
        if fit < on_one_machine and execution.cpus_per_worker is None:
            on_one_machine, cpus = fit, max(1, smallest.cpus // fit)
        needed = min(needed, smallest.memory_bytes // on_one_machine)
    return Pool(most, cpus, int(has_gpu), int(needed))
