"""raycluster undo: take back the latest merge or split."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", help="finished run")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    from raycluster.identities.corrections import undo

    run = options.run_folder
    count = undo(run)
    text = f"{count:,} decisions went from {run}/decisions.parquet.\nNext: raycluster update {run} -o NEW_RUN"
    return Answer({"run": run, "undone": count}, text)


VERB = Verb(
    name="undo",
    summary="Take back the latest merge or split of a run; raycluster update puts it in force.",
    arguments=_arguments,
    run=_run,
    examples=("raycluster undo run", "raycluster update run -o run2", "raycluster diff run run2"),
)
