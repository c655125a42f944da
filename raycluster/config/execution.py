"""How a run is carried out. Only precision and processors can change a label."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import msgspec

from raycluster.config.checks import Count, Section


@dataclass(frozen=True)
class Execution(Section):
    """Where tasks run, and how many at once."""

    prefix: ClassVar[str] = "--"

    executor: Literal["auto", "local", "ray"] = "auto"
    """Where tasks run: in this process (`local`) or on Ray. `auto` is local for one shard where no cluster address is set,
    and Ray otherwise."""
    shards: Count | None = None
    """Row shards, from 1 up; None is one per 256 MiB of vectors. Raising it makes tasks smaller, and more run at once. A run
    folder keeps the number that it started with."""
    workers: Count | None = None
    """Most worker processes, from 1 up; None is one per shard, as far as the cluster has room."""
    accelerator: Literal["auto", "gpu", "cpu"] = "auto"
    """Whether workers of stages that can use a GPU wait for one. `auto`: if the cluster has any when they start."""
    replan: bool = False
    """Whether an existing run folder may take another configuration. Stages that it changes run again, others are kept."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of networks' matrix products on every node of the run. `auto` is bfloat16 where all nodes that are there at
    the start compute with it. It decides the last digits of scores, so a run folder keeps what it started with. The network of
    `auto` computes in float32 on processors, whatever the precision."""
    cpus_per_worker: Count | None = None
    """CPUs and threads of one worker process; None shares the machines of the cluster out among the workers."""
    processors: Literal["auto", "any"] = "auto"
    """Kinds of processors that may compute scores. `auto`: those that are there at the start. `any`: every x86 with AVX2, which
    may take twice the time in float32. Last digits of scores are the same on all of them."""
    wait: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    """Minutes that a stage waits for a first worker where the cluster has room for none. Raising it survives longer
    shortages of machines."""
