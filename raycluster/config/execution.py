"""How a run is carried out. None of it changes a label."""

from dataclasses import dataclass
from typing import ClassVar, Literal

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
