"""The frame of every job: parse the command line, call one function, print its result as JSON, return an exit code."""

import argparse
import contextlib
import difflib
import io
import itertools
import json
import os
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

    options = {} if default is None else {"default": default}
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(args_type, **options)
    except SystemExit as stop:
        if not stop.code:
            raise
    with contextlib.redirect_stdout(io.StringIO()) as told, contextlib.suppress(SystemExit):
        tyro.cli(args_type, args=["--help"], **options)
    raise ConfigError(_sentence(_plain(complaint), _plain(told), sys.argv[1:]))


_OPTION = re.compile(r"^\W*?(--\w[\w.-]*)(?:, (--\w[\w.-]*))?", re.MULTILINE)
"""Options at the start of a line, as tyro lists them in its help and where it names missing ones."""


def _plain(text: io.StringIO) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text.getvalue())


def _sentence(complaint: str, told: str, words: list[str]) -> str:
    """What tyro complains of without the help it adds: the first of unknown options, missing options, its own words."""
    known = [option for pair in _OPTION.findall(told) for option in pair if option]
    given = [word.partition("=")[0] for word in words if word.startswith("--")]
    unknown = [option for option in dict.fromkeys(given) if option.replace("_", "-") not in known]
    if unknown:
        near = [match for option in unknown for match in difflib.get_close_matches(option, known, n=1)]
        hint = f"did you mean {', '.join(near)}?" if near else "--help lists all there are."
        return f"Unrecognized options: {', '.join(unknown)}; {hint}"
    title, *lines = complaint.splitlines() or [""]
    body = list(itertools.takewhile(_has_words, itertools.dropwhile(lambda line: not _has_words(line), lines)))
    if "(required)" in complaint:
        return f"Missing: {', '.join(pair[0] for pair in _OPTION.findall(chr(10).join(body)))}."
    said = " ".join(" ".join(line.strip("│| ") for line in body or [title]).split())
    return said.removeprefix("Error parsing ").replace(". Expected", "; expected").rstrip(".") + "."


def _has_words(line: str) -> bool:
    return re.search(r"\w", line) is not None


def run_job(args_type: type[Args], main: Callable[[Args], Any], default: Callable[[], Args] | None = None) -> None:
    """Run a job and leave the process: 0 when done, 2 for a mistake of the user's, 1 for a failure, 130 when interrupted.

    What `main` returns, unless none, is printed to stdout as JSON; everything else, libraries included, goes to stderr.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # a closed terminal ends a job as Ctrl-C does; Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
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
    except Exception as error:
        if os.environ.get("RAYCLUSTER_DEBUG"):
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"error: unexpected {what} (RAYCLUSTER_DEBUG=1 shows where)", file=sys.stderr)
        sys.exit(1)
    if result is not None:
        print(json.dumps(result, indent=2))
    sys.exit(0)


def early_options(*names: str) -> list[str | None]:
    """Values of options that decide what the other options' defaults are; none where an option is not given."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in names:
        early.add_argument(name, nargs="?", dest=name)
    known = vars(early.parse_known_args()[0])
    return [known[name] for name in names]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
