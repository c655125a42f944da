"""raycluster update: a run goes on with new rows, deletions and decisions."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb, add_deciding, add_input, add_output, deciding_columns, inputs_of
from raycluster.errors import ConfigError


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", nargs="?", metavar="RUN", help="finished run, or folder of an earlier update")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    add_input(parser, "Parquet files or folders with new rows; a row whose id is there replaces it")
    parser.add_argument("--delete", metavar="FILE", help="Parquet with the ids of rows to remove")
    add_deciding(parser, is_shown=True)
    parser.add_argument(
        "--mode",
        choices=("local", "attach", "full"),
        default="local",
        help="local solves clusters near the change; attach moves no old row; full clusters all again (local)",
    )
    parser.add_argument(
        "--embeddings.on-bad-row",
        dest="on_bad_row",
        choices=("error", "drop"),
        help="rows without a vector (as in RUN)",
    )
    add_output(parser, "new run folder; it reads from RUN, so keep both")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    from raycluster.identities.job import Order, in_words, update_run

    run = options.run or options.run_folder
    if run is None:
        raise ConfigError("Missing: RUN, the folder of a finished run.")
    columns, conflict = deciding_columns(options), options.on_conflict
    order = Order(
        inputs_of(options), options.delete, options.decisions, options.mode, columns, conflict, options.yes,
        options.on_bad_row,
    )  # fmt: skip
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
