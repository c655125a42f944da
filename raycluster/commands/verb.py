"""What a verb of the console command declares, and options of several verbs.

A verb has a screen of plain options. Every other key of the configuration is reached by `--<stage>.<key>` or `--set`; these
are collected in `keys`, nested as in a YAML file.
"""

import argparse
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from raycluster.config.execution import Execution


@dataclass(frozen=True)
class Answer:
    """What a verb returns when it is done."""

    values: Any
    """For programs: printed as JSON where stdout is no terminal, or with --json."""
    text: str | None = None
    """For people: printed on a terminal. None prints the values."""


@dataclass(frozen=True)
class Verb:
    """One verb."""

    name: str
    summary: str
    """One line, for the list of verbs."""
    arguments: Callable[[argparse.ArgumentParser], None]
    """Adds its options to a parser."""
    run: Callable[[argparse.Namespace, dict[str, Any]], Answer | None]
    """Parsed options and configuration keys to an answer."""
    examples: tuple[str, ...] = ()
    """Three command lines."""
    keys: Callable[[], dict[str, type]] = field(default=dict)
    """Sections of the configuration whose keys it takes, by name; the empty name has keys without a section."""


def add_input(parser: argparse.ArgumentParser, words: str) -> None:
    """Add the inputs: positional, or as --input."""
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help=words)
    parser.add_argument("--input", nargs="+", default=[], metavar="INPUT", help=argparse.SUPPRESS)


def inputs_of(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the inputs, however they were passed."""
    return (*options.inputs, *options.input)


def add_output(parser: argparse.ArgumentParser, words: str) -> None:
    """Add the output folder."""
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help=words)


def add_deciding(parser: argparse.ArgumentParser, *, is_shown: bool) -> None:
    """Add decisions and columns that decide.

    --help shows them where `is_shown`.
    """
    add = functools.partial(_add, parser, is_shown)
    column: dict[str, Any] = {"action": "append", "default": [], "metavar": "C"}
    add("--exclusive-column", "rows with one value are different identities", **column)
    add("--same-column", "rows with one value are one identity", **column)
    add("--differ-column", "rows with two values are different identities", **column)
    add("--decisions", "Parquet with all decisions from now on: id_a, id_b, same, at", metavar="FILE")
    conflict = "stop, leave out the older of two contradictory decisions, or drop all of such a set (stop)"
    kinds = ("stop", "newest", "drop")
    add("--decisions.on-conflict", conflict, dest="on_conflict", choices=kinds, default="stop")
    add("--yes", "allow decisions that tie more than 10,000 rows", action="store_true")


def _add(parser: argparse.ArgumentParser, is_shown: bool, name: str, words: str, **more: Any) -> None:
    parser.add_argument(name, help=words if is_shown else argparse.SUPPRESS, **more)


def deciding_columns(options: argparse.Namespace) -> dict[str, Sequence[str]]:
    """Return the columns that decide, by kind; empty without any."""
    columns = {kind: getattr(options, f"{kind}_column") for kind in ("exclusive", "same", "differ")}
    return {kind: names for kind, names in columns.items() if names}


def add_execution(parser: argparse.ArgumentParser) -> None:
    """Add where and how the job runs."""
    parser.add_argument(
        "--executor", choices=("auto", "local", "ray"), default="auto", help="one process, or Ray (auto)"
    )
    parser.add_argument("--shards", type=whole, help=argparse.SUPPRESS)  # one per 256 MiB of vectors
    parser.add_argument("--workers", type=whole, metavar="N", help="worker processes at most (one per shard)")
    parser.add_argument("--cpus-per-worker", type=whole, metavar="N", help=argparse.SUPPRESS)
    parser.add_argument("--wait", type=float, default=60.0, metavar="MINUTES", help=argparse.SUPPRESS)
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto", help=argparse.SUPPRESS)
    parser.add_argument("--processors", choices=("auto", "any"), default="auto", help=argparse.SUPPRESS)
    parser.add_argument("--accelerator", choices=("auto", "gpu", "cpu"), default="auto", help=argparse.SUPPRESS)


def execution_of(options: argparse.Namespace, *, replan: bool = False) -> Execution:
    """Return where and how the job runs."""
    return Execution(
        options.executor, options.shards, options.workers, options.accelerator, replan,
        options.precision, options.cpus_per_worker, options.processors, options.wait,
    )  # fmt: skip


def whole(word: str) -> int:
    """Return a whole number; argparse turns the error into a sentence."""
    try:
        return int(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"it takes a whole number, not {word!r}") from None
