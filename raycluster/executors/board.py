"""The board of a stage: which worker is at which shard, on which node, since when.

It lives beside the driver and holds only what is of this start of the job. From it follow second copies of late shards, the
lines of the watcher, and which nodes have taken part. Results never depend on it: a shard counts by its marker alone.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

LATE_FACTOR = 1.5
"""A shard is late once it takes this many times the median of finished ones. Raising it starts fewer second copies."""
LATE_SECONDS = 10.0
"""No shard is late before it has taken so long: starting a copy opens the stage in another process."""
MOST_COPIES = 2
"""Workers at one shard, at most. More would only compete for the same storage."""
NOTHING_YET, NOTHING_LEFT = -1, -2
"""What `late` returns where no shard is late yet, and where all are done."""


@dataclass
class Attempt:
    """One worker at one shard."""

    node: str
    began: float


@dataclass
class Board:
    """The state of one stage."""

    numbers: list[int]
    """Shards that this start of the job has to compute."""
    live_nodes: Callable[[], set[str]]
    """Ids of the nodes that live now."""
    clock: Callable[[], float] = time.monotonic
    attempts: dict[int, dict[str, Attempt]] = field(default_factory=dict)
    """Workers at shards that are not done, by shard and worker."""
    seconds: dict[int, float] = field(default_factory=dict)
    """What every finished shard took."""
    nodes: dict[str, str] = field(default_factory=dict)
    """Addresses of the nodes that have taken part, by id."""
    rows: float = 0.0
    """Rows that kernels of all workers have reported so far."""
    missed: dict[int, float] = field(default_factory=dict)
    """Since when a worker without a shard has seen that nobody is at one: its worker died before it began."""
    copies: int = 0
    """Second copies that were started."""

    def enter(self, node: str, address: str) -> None:
        """A worker has opened the stage."""
        self.nodes[node] = address

    def begin(self, shard: int, worker: str, node: str) -> None:
        """A worker starts on a shard.

        Parameters
        ----------
        shard, worker
            Their number and name.
        node
            Id of the worker's node.
        """
        if shard not in self.seconds:
            self.attempts.setdefault(shard, {})[worker] = Attempt(node, self.clock())

    def end(self, shard: int, worker: str) -> None:
        """A worker is done with a shard; whoever else is at it is no longer needed."""
        mine = self.attempts.pop(shard, {}).get(worker)
        if mine is not None and shard not in self.seconds:
            self.seconds[shard] = self.clock() - mine.began

    def advance(self, rows: float) -> None:
        """A worker reports rows that it has done since its last report."""
        self.rows += rows

    def late(self, worker: str, node: str) -> int:
        """Return a late shard for a worker without one; a negative number for none."""
        if len(self.seconds) >= len(self.numbers):
            return NOTHING_LEFT
        live, now, median = self.live_nodes(), self.clock(), self._median()
        late = []
        for shard in self.numbers:
            if shard not in self.seconds and shard not in self.attempts:
                began = self.missed.setdefault(shard, now)
                if now - began > max(LATE_SECONDS, LATE_FACTOR * median):
                    late.append((began, shard))
        for shard, workers in self.attempts.items():
            there = [attempt for attempt in workers.values() if attempt.node in live]
            began = min((attempt.began for attempt in there), default=-float("inf"))
            if len(there) < MOST_COPIES and now - began > max(LATE_SECONDS, LATE_FACTOR * median):
                late.append((began, shard))
        if not late:
            return NOTHING_YET
        shard = min(late)[1]
        self.begin(shard, worker, node)
        self.copies += 1
        return shard

    def in_flight(self) -> list[tuple[int, str, float]]:
        """Return shard, address and seconds of every attempt, the longest first."""
        now = self.clock()
        attempts = [
            (shard, self.nodes.get(attempt.node, attempt.node), now - attempt.began)
            for shard, workers in self.attempts.items()
            for attempt in workers.values()
        ]
        return sorted(attempts, key=lambda one: -one[2])

    def addresses(self) -> list[str]:
        """Return the addresses of the nodes that have taken part."""
        return sorted(set(self.nodes.values()))

    def done(self) -> int:
        """Return how many shards are done."""
        return len(self.seconds)

    def left(self) -> int:
        """Return how many shards are not done."""
        return len(self.numbers) - len(self.seconds)

    def reported_rows(self) -> float:
        """Return the rows that kernels have reported so far."""
        return self.rows

    def _median(self) -> float:
        """Seconds of a usual shard; infinite before the first is done."""
        return statistics.median(self.seconds.values()) if self.seconds else float("inf")
