"""The frame of every job: parse the command line, call one function, print its result as JSON, return an exit code."""

import contextlib
import io
import json
import re
import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from raycluster.errors import ConfigError, RayclusterError

Args = TypeVar("Args")


def parse(args_type: type[Args], default: Args | None = None) -> Args:
    """The command line as an instance of the dataclass `args_type`; raises ConfigError with one sentence.

    `default` replaces the dataclass's own defaults.
    """
    import tyro

    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            options = {} if default is None else {"default": default}
            return tyro.cli(args_type, **options)
    except SystemExit as stop:
        if not stop.code:
            raise
        words = re.sub(r"[^\x20-\x7e]+|-{3,}|={3,}", " ", complaint.getvalue())
        raise ConfigError(" ".join(words.split())) from None


def run_job(args_type: type[Args], main: Callable[[Args], Any], default: Callable[[], Args] | None = None) -> None:
    """Run a job and leave the process: 0 when done, 2 for a mistake of the user's, 1 for a failure, 130 when interrupted.

    What `main` returns, unless none, is printed to stdout as JSON; everything else, libraries included, goes to stderr.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        args = parse(args_type, default() if default else None)
        with contextlib.redirect_stdout(sys.stderr):
            result = main(args)
    except RayclusterError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted: nothing is lost; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    if result is not None:
        print(json.dumps(result, indent=2))
    sys.exit(0)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
