"""Machines to estimate for: the one at hand, and a dated list of machines to rent."""

import os
import shutil
from dataclasses import dataclass

from raycluster.errors import ConfigError
from raycluster.executors.sizing import own_threads
from raycluster.kernels.search import faiss_flat
from raycluster.storage import scratch
from raycluster.storage.free_memory import available_bytes

PRICES_OF = "AWS us-east-1, Linux, on demand, list prices of 2025"


@dataclass(frozen=True)
class Machine:
    """What one node has. Its local disk holds node-local copies."""

    name: str
    cores: int
    """CPUs that Ray counts; one is taken to be as fast as a core of the machine at hand."""
    memory_gib: float
    disk_gib: float
    network_gib_s: float | None = None
    """To storage; none where the run folder is on a local disk, whose speed the probe measures."""
    gpus: int = 0
    gpu_tflops: float = 0.0
    """Sustained float32 rate of one GPU in exact search: assumed, not measured."""
    usd_hour: float | None = None


MACHINES: tuple[Machine, ...] = (
    Machine("m6id.8xlarge", 32, 128, 1769, 1.46, usd_hour=1.8984),
    Machine("g6.4xlarge", 16, 64, 559, 1.46, gpus=1, gpu_tflops=20, usd_hour=1.3232),
    Machine("r6id.8xlarge", 32, 256, 1769, 1.46, usd_hour=2.4192),
    Machine("r6id.32xlarge", 128, 1024, 7078, 5.8, usd_hour=9.6768),
    Machine("x2iedn.32xlarge", 128, 4096, 3538, 11.6, usd_hour=26.676),
)
"""As cluster.yaml has them, and larger drivers. An L4 is taken at 20 of its 30 TFLOP/s of float32."""


def at_hand() -> Machine:
    """Return this machine: its usable cores, and its free memory and disk."""
    os.makedirs(scratch.base(), exist_ok=True)
    memory, disk = available_bytes(), shutil.disk_usage(scratch.base()).free
    return Machine("this machine", own_threads(), memory / 2**30, disk / 2**30, gpus=int(faiss_flat.gpu_available()))


def named(name: str) -> Machine:
    """Return a machine of the list. Raises ConfigError for a name that is not in it."""
    if name not in (machines := {machine.name: machine for machine in MACHINES}):
        raise ConfigError(f"There is no machine '{name}'; there are {', '.join(machines)}.")
    return machines[name]


def smallest_with(memory_gib: float) -> Machine | None:
    """Return the cheapest machine of the list with so much memory, if any."""
    enough = [machine for machine in MACHINES if machine.memory_gib >= memory_gib]
    return min(enough, key=lambda machine: machine.usd_hour or 0.0, default=None)
