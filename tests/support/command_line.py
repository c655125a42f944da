"""Run a verb in this process as a user's command line would, and keep what it leaves behind."""

import contextlib
import io
import signal
from dataclasses import dataclass
from typing import Any

from raycluster.command_line import run
from raycluster.commands import load
from raycluster.commands.verb import Verb


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


def call(verb: Verb | str, *words: str) -> Outcome:
    """Run a verb, or the verb of a name, with `words` as its command line."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    code: Any = None
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            try:
                run(load(verb) if isinstance(verb, str) else verb, words, "job.py")
            except SystemExit as stop:
                code = stop.code
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Outcome(code, out.getvalue(), err.getvalue())
