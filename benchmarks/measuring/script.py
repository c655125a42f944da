"""The frame of a benchmark: options, tables on stdout, a JSON file."""

import shlex
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from benchmarks.measuring.machine import origin
from benchmarks.measuring.tables import Rows, Tables, publish
from benchmarks.measuring.words import parse

RESULTS = Path(__file__).parent.parent / "results"


@dataclass(kw_only=True)
class Options:
    """What every benchmark takes."""

    json: str | None = None
    """File for the result; none means benchmarks/results/NAME.json, and no file with --quick."""
    quick: bool = False
    """Take the smallest sizes that run every line, on generated sets. The numbers then mean nothing."""


A = TypeVar("A", bound=Options)


@dataclass(frozen=True)
class Benchmark(Generic[A]):
    """What a script defines under the name BENCHMARK."""

    args: type[A]
    tables: Callable[[A], Tables]
    quick: Callable[[str], A]
    """Arguments of --quick; its parameter is a temporary folder for sets, models and runs."""


def run(name: str, benchmark: Benchmark[Any], words: list[str]) -> dict[str, Rows]:
    """Run a benchmark with the options `words` and return its tables.

    Raises RayclusterError for mistakes of the user's.
    """
    with tempfile.TemporaryDirectory() as folder:
        args = parse(
            benchmark.args, words, benchmark.quick(folder) if "--quick" in words else None, f"benchmarks {name}"
        )
        target = args.json or (None if args.quick else RESULTS / f"{name}.json")
        facts = origin(shlex.join(["python", "-m", "benchmarks", name, *words]))
        facts = {"benchmark": name, **facts, "arguments": asdict(args)}
        return publish(benchmark.tables(args), Path(target) if target else None, facts)
