"""When a fit saves its checkpoint, and what it must not save."""

import time

from raycluster.storage.object_store import Store
from raycluster.training import checkpoint
from raycluster.training.checkpoint import State

SECONDS_BETWEEN_CHECKPOINTS = 60.0
"""Seconds after which a step saves a checkpoint where no evaluation has: what a killed process can lose. Fewer write more."""


class Keeper:
    """The clock of a fit, and the checkpoint of its worker 0.

    Parameters
    ----------
    store, folder
        Where checkpoints go.
    rank
        Number of this worker; others than 0 save nothing.
    state
        Where the fit starts.
    """

    def __init__(self, store: Store, folder: str, rank: int, state: State) -> None:
        before = max(state.seconds, state.history[-1]["seconds"] if state.history else 0.0)
        self._store, self._folder, self._rank = store, folder, rank
        self._began, self._saved = time.monotonic() - before, time.monotonic()
        self.kept = state.step
        """Step of the last checkpoint; 0 without one."""

    @property
    def seconds(self) -> float:
        """Seconds of the fit so far, those of earlier processes included."""
        return round(time.monotonic() - self._began, 3)

    @property
    def is_due(self) -> bool:
        """Whether the last checkpoint is old."""
        return time.monotonic() - self._saved >= SECONDS_BETWEEN_CHECKPOINTS

    def save(self, state: State) -> None:
        """Save a state whose tensors are those of its step.

        Weights that are no numbers are left out: no fit can go on from them.
        """
        self._saved = time.monotonic()
        if self._rank or not state.step or not all(bool(tensor.isfinite().all()) for tensor in state.module.values()):
            return
        state.seconds = self.seconds
        checkpoint.save(self._store, self._folder, state)
        self.kept = state.step
