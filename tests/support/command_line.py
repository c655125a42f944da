"""Run a job in this process as a user's command line would, and keep what it leaves behind."""

import contextlib
import io
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from raycluster.command_line import run_job


@dataclass(frozen=True)
class Outcome:
    """What a job left behind: its exit code and both streams."""

    code: int
    stdout: str
    stderr: str

    @property
    def errors(self) -> list[str]:
        """The lines that report an error."""
        return [line for line in self.stderr.splitlines() if line.startswith("error: ")]


def call(
    args_type: type[Any], main: Callable[[Any], Any], *words: str, default: Callable[[], Any] | None = None
) -> Outcome:
    """Run a job in this process as its file in jobs/ does, with `words` as its command line."""
    argv, handler = sys.argv, signal.getsignal(signal.SIGTERM)
    sys.argv = ["job.py", *words]
    code: Any = None
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            try:
                run_job(args_type, main, default)
            except SystemExit as stop:
                code = stop.code
    finally:
        sys.argv = argv
        signal.signal(signal.SIGTERM, handler)
    return Outcome(code, out.getvalue(), err.getvalue())
