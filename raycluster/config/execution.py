"""How a run is carried out. None of it changes a label."""

from dataclasses import dataclass
from typing import Literal

from raycluster.errors import ConfigError


@dataclass(frozen=True)
class Execution:
    """Where tasks run, and how many at once."""

    executor: Literal["auto", "local", "ray"] = "auto"
    """`auto` runs one shard in this process where no cluster address is set, and on Ray otherwise."""
    shards: int | None = None
    """Row shards; none means one per 256 MiB of vectors. A run folder keeps the number that it started with."""
    workers: int | None = None
    """Worker processes at most; none means one per shard, as far as the cluster goes."""
    accelerator: Literal["auto", "gpu", "cpu"] = "auto"
    """Whether the workers of stages that can use a GPU wait for one. `auto`: if the cluster has any when they start."""
    replan: bool = False
    """Allow another configuration on an existing run folder: stages that it changes are run again, others kept."""

    def __post_init__(self) -> None:
        for name in ("shards", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"--{name} is {value}: it must be at least 1.")
