"""raycluster update: a run goes on with new rows, deletions and decisions."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb, add_input, add_output, inputs_of
from raycluster.errors import ConfigError


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", nargs="?", metavar="RUN", help="finished run, or folder of an earlier update")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    add_input(parser, "Parquet files or folders with new rows; a row whose id is there replaces it")
    parser.add_argument("--delete", metavar="FILE", help="Parquet with the ids of rows to remove")
    parser.add_argument(
        "--decisions", metavar="FILE", help="Parquet with all decisions from now on: id_a, id_b, same, at, by, note"
    )
    parser.add_argument(
        "--decisions.on-conflict",
        dest="on_conflict",
        choices=("stop", "newest", "drop"),
        default="stop",
        help="where decisions contradict each other: stop, leave out the older ones, or drop all of that set (stop)",
    )
    parser.add_argument(
        "--mode",
        choices=("local", "attach"),
        default="local",
        help="local solves clusters near the change again; attach moves no old row (local)",
    )
    parser.add_argument("--yes", action="store_true", help="allow decisions that tie more than 10,000 rows")
    add_output(parser, "new run folder; it reads from RUN, so keep both")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    from raycluster.identities.job import Order, in_words, update_run

    run = options.run or options.run_folder
    if run is None:
        raise ConfigError("Missing: RUN, the folder of a finished run.")
    order = Order(inputs_of(options), options.delete, options.decisions, options.mode, options.on_conflict, options.yes)
    summary = update_run(run, options.output, order)
    return Answer(summary, in_words(summary))


VERB = Verb(
    name="update",
    summary="Take new rows, deletions and decisions into a finished run; clusters keep their ids.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster update run --input new.parquet -o run2",
        "raycluster update run2 --delete gone.parquet -o run3",
        "raycluster update run3 --decisions decisions.parquet -o run4",
    ),
)
