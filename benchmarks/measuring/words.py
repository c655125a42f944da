"""Options of a benchmark from words, by tyro: one sentence for a mistake."""

import contextlib
import io
import re
from collections.abc import Sequence
from typing import TypeVar

import tyro

from raycluster.errors import ConfigError

Options = TypeVar("Options")


def parse(
    kind: type[Options], words: Sequence[str], default: Options | None = None, prog: str = "benchmarks"
) -> Options:
    """Return the options of a dataclass from words. Raises ConfigError for a mistake, and ends the process for --help."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(kind, args=list(words), default=default, prog=prog)
    except SystemExit as stop:
        if not stop.code:
            raise
    plain = re.sub(r"\x1b\[[\d;]*m|[│╭╮╰╯─|]", " ", complaint.getvalue())
    if unknown := re.search(r"Unrecognized options: (--\S+?),? ", plain):
        near = re.search(r"Perhaps you meant:\s+(--[\w.-]+)", plain)
        hint = f"did you mean {near[1]}?" if near else "--help lists all there are."
        raise ConfigError(f"Unrecognized options: {unknown[1]}; {hint}")
    raise ConfigError(f"{' '.join(plain.split()).rstrip('.')}.")
