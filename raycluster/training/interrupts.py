"""Signals that end a job, held back while a step changes what a checkpoint saves."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals that the command line turns into an interruption."""


class Interrupts:
    """Raises KeyboardInterrupt for a signal, not within a held piece of work.

    There it waits for the end. A second signal does not wait. Outside the main thread, which alone gets signals, it does nothing.
    """

    def __init__(self) -> None:
        self._is_held = False
        self._is_pending = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        with contextlib.suppress(ValueError):  # not the main thread
            for name in ENDING:
                if hasattr(signal, name):
                    number = getattr(signal, name)
                    self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold a signal back until the end of this piece of work."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._is_pending:
            self._is_pending = False
            raise KeyboardInterrupt

    def _take(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._is_held and not self._is_pending:
            self._is_pending = True
            return
        raise KeyboardInterrupt
