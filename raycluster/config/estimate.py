"""What `--dry-run` assumes, as the command line sets it."""

from dataclasses import dataclass

from raycluster.errors import ConfigError


@dataclass(frozen=True)
class EstimateOptions:
    """What `--dry-run` assumes."""

    probe_seconds: float = 30.0
    """How long to measure this machine; 0 takes stored rates. Raising it measures sets nearer to the real size."""
    machine: str | None = None
    """Kind of the nodes that work, by name; none means the machine at hand."""
    driver: str | None = None
    """Kind of the driver's node; none means the machine at hand, or one of `machine` if that is set."""
    nodes: int = 1
    """Nodes that work."""
    rows: int | None = None
    """Estimate for so many rows like the input's; none means its own."""
    edges_per_row: float | None = None
    """Edges in force per row, as a run on part of the input had them; none estimates them."""

    def __post_init__(self) -> None:
        for name in ("nodes", "rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"--estimate.{name} is {value}: it must be at least 1.")
        if self.edges_per_row is not None and not 0 < self.edges_per_row < float("inf"):
            raise ConfigError(f"--estimate.edges-per-row is {self.edges_per_row}: it must be above 0.")
        if not 0 <= self.probe_seconds < float("inf"):
            raise ConfigError(f"--estimate.probe-seconds is {self.probe_seconds}: it must not be negative.")
        if self.nodes > 1 and self.machine is None:
            raise ConfigError("--estimate.nodes needs --estimate.machine: there is only one machine at hand.")
