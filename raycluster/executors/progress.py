"""What a person sees while a job runs, on stderr.

A terminal shows one live line. Anything else gets one line every ten seconds, and one at the end of a stage.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol

from raycluster.executors.position import Outlook, Position, Preparation
from raycluster.secrecy import printable

SECONDS_BETWEEN_LINES = 10.0
"""Seconds between two lines where no terminal shows a live one. Fewer make longer logs."""
REFRESHES = 4
"""Times per second that a live line is drawn again. More are not seen."""


class Shown(Protocol):
    """What can be shown at any moment."""

    def words(self, now: float) -> str:
        """Return the line of this moment."""
        ...


class Progress:
    """Shows which stage runs and how far it is; holds the seconds of each."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.outlook = Outlook()
        self._terminal = sys.stderr.isatty()
        self._last_line = time.monotonic()
        self._showing = False
        self._skipped: list[str] = []
        self._open_console: Any = None

    def say(self, line: str) -> None:
        """Print a line at once."""
        line = printable(line)
        if self._terminal:
            self._console().print(line, markup=False, soft_wrap=True)
        else:
            print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)

    def plan(self, names: list[str]) -> None:
        """Take the stages of a run, in order."""
        self.outlook = Outlook(names)

    def expect(self, seconds: dict[str, float]) -> None:
        """Take the seconds that stages are expected to take, once the rows are counted."""
        self.outlook.seconds = seconds

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count the time towards a stage, unless it fails."""
        began = time.monotonic()
        with self.shown(Preparation(name, began, self.outlook.place(name))):
            yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - began, 3)

    @contextlib.contextmanager
    def stage(self, name: str, rows: int, before: int) -> Iterator[Position]:
        """A stage of so many rows, of which some were done before.

        Parameters
        ----------
        name
            The stage.
        rows, before
            Rows of all its tasks, and those done before.
        """
        began, plan = time.monotonic(), self.outlook
        if before < rows and self._skipped:
            self.say(f"done before: {', '.join(self._skipped)}")
            self._skipped.clear()
        position = Position(name, rows, before, began, plan.place(name), plan.of(name), plan.after(name))
        with self.shown(position):
            yield position
        now = time.monotonic()
        self.seconds[name] = round(self.seconds.get(name, 0.0) + now - began, 3)
        if before < rows:
            plan.count(name, self.seconds[name] * rows / (rows - before))
            self.say(position.summary(now))
        elif rows:
            self._skipped.append(name)

    @contextlib.contextmanager
    def shown(self, line: Shown) -> Iterator[None]:
        """Show a line as it changes: live on a terminal, every ten seconds elsewhere."""
        if self._showing:  # what is within something that is shown is its own affair
            yield
            return
        self._showing = True
        try:
            with self._live(line) if self._terminal else self._ticking(line):
                yield
        finally:
            self._showing = False

    def _console(self) -> Any:
        """Return the terminal, which prints lines above the live one."""
        if self._open_console is None:
            from rich.console import Console

            self._open_console = Console(stderr=True, highlight=False)
        return self._open_console

    def _live(self, line: Shown) -> Any:
        from rich.live import Live
        from rich.text import Text

        def draw() -> Text:
            return Text(line.words(time.monotonic()), no_wrap=True, overflow="ellipsis")

        return Live(get_renderable=draw, console=self._console(), refresh_per_second=REFRESHES, transient=True)

    @contextlib.contextmanager
    def _ticking(self, line: Shown) -> Iterator[None]:
        is_over = threading.Event()

        def tick() -> None:
            while not is_over.wait(max(0.0, self._last_line + SECONDS_BETWEEN_LINES - time.monotonic())):
                if time.monotonic() >= self._last_line + SECONDS_BETWEEN_LINES:
                    self._last_line = time.monotonic()
                    self.say(line.words(self._last_line))

        clock = threading.Thread(target=tick, name="progress", daemon=True)
        clock.start()
        try:
            yield
        finally:
            is_over.set()
            clock.join()


class Silence(Progress):
    """Progress that nobody sees.

    It is for a few rows within a stage, a probe, or a fit in a notebook.
    """

    def say(self, line: str) -> None:
        """Nothing."""

    @contextlib.contextmanager
    def shown(self, line: Shown) -> Iterator[None]:  # noqa: ARG002
        """Show nothing."""
        yield
