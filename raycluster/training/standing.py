"""Where a fit stands, in words: step, loss, held-out score, seconds left."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from raycluster.storage.object_store import Store
from raycluster.training.checkpoint import MARKER

RECENT = 20
"""Steps whose mean loss is shown. Fewer jump more."""
SECONDS_BETWEEN_READS = 10.0
"""Seconds between two reads of the checkpoint of workers elsewhere. Fewer make more requests."""


@dataclass
class Standing:
    """How far a fit is; the loop writes to it."""

    name: str
    steps: int = 0
    """Steps of the whole fit; early stopping may end it before."""
    step: int = 0
    loss: float | None = None
    score: float | None = None
    """The last held-out score, at `scored_at`."""
    scored_at: int = 0
    began: float = field(default_factory=time.monotonic)
    before: int = 0
    """Steps that were done before this process."""

    def start(self, steps: int, before: int) -> None:
        """Begin to count, once the sets are opened."""
        self.steps, self.step, self.before, self.began = steps, before, before, time.monotonic()

    def take(self, step: int, losses: Sequence[float], history: Sequence[dict[str, float]]) -> None:
        """Take over where the loop is.

        Parameters
        ----------
        step
            Steps that are done.
        losses
            Of the steps since the last evaluation.
        history
            The evaluations so far.
        """
        self.step = step
        if losses:
            self.loss = fmean(losses[-RECENT:])
        elif history:
            self.loss = history[-1]["loss"]
        if history:
            self.score, self.scored_at = history[-1]["score"], int(history[-1]["step"])

    def words(self, now: float) -> str:
        """Return the line of this moment."""
        if not self.steps:
            return f"{self.name}: preparing, {now - self.began:.0f} s so far"
        words = [f"{self.name}: step {self.step:,} of {self.steps:,}"]
        if self.loss is not None:
            words.append(f"loss {self.loss:.4g}")
        if self.score is not None:
            words.append(f"held-out score {self.score:.4g} at step {self.scored_at:,}")
        if self.step > self.before:
            left = (now - self.began) * (self.steps - self.step) / (self.step - self.before)
            words.append(f"at most {left:.0f} s left")
        return ", ".join(words)


@dataclass
class StoredStanding(Standing):
    """How far workers elsewhere are, from the checkpoints that they leave."""

    store: Store | None = None
    _read: float = 0.0

    def words(self, now: float) -> str:
        """Return the line of this moment, with the newest checkpoint."""
        if now - self._read >= SECONDS_BETWEEN_READS and self.store is not None:
            self._read = now
            if (data := self.store.get(f"{self.name}/{MARKER}")) is not None:
                marker = json.loads(data)
                self.take(marker["step"], marker.get("losses", []), marker["history"])
        return super().words(now)
