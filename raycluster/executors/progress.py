"""What a person sees while a job runs, on stderr.

A terminal shows bars. Anything else gets one line every ten seconds.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

SECONDS_BETWEEN_LINES = 10.0
"""Seconds between two lines about one stage where no terminal shows bars. Fewer make longer logs."""
Advance = Callable[[], None]
"""Called once for every shard that finishes."""


class Progress:
    """Shows which stage runs and how far it is; holds the seconds of each."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._terminal = sys.stderr.isatty()
        self._last_line = time.monotonic()

    def say(self, line: str) -> None:
        """Print a line at once."""
        if self._terminal:
            from rich.console import Console

            Console(stderr=True, highlight=False).print(line, markup=False)
        else:
            print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count the time towards a stage, unless it fails."""
        began = time.monotonic()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - began, 3)

    @contextlib.contextmanager
    def stage(self, name: str, total: int, done: int) -> Iterator[Advance]:
        """A stage of `total` shards of which `done` were done before."""
        began = time.monotonic()
        with self.timed(name):
            if self._terminal:
                with self._bar(name, total, done) as advance:
                    yield advance
            else:
                finished = done

                def step() -> None:
                    nonlocal finished
                    finished += 1
                    if finished < total and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
                        self._last_line = time.monotonic()
                        self.say(f"{name}: {finished} of {total} shards, {time.monotonic() - began:.0f} s")

                yield step
        if not self._terminal:
            self.say(f"{name}: {total} of {total} shards, {time.monotonic() - began:.1f} s")

    @contextlib.contextmanager
    def _bar(self, name: str, total: int, done: int) -> Iterator[Advance]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
            task = bars.add_task(name, total=total, completed=done)
            yield lambda: bars.advance(task)


class Silence(Progress):
    """Progress that nobody sees: of a few rows within a stage, of a probe, of a fit in a notebook."""

    def say(self, line: str) -> None:
        """Nothing."""

    @contextlib.contextmanager
    def stage(self, name: str, total: int, done: int) -> Iterator[Advance]:  # noqa: ARG002
        """Count the time alone."""
        with self.timed(name):
            yield lambda: None
