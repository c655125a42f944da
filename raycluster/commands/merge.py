"""raycluster merge: decide that two clusters are one identity."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb, whole


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", help="finished run")
    parser.add_argument("one", type=whole, metavar="CLUSTER", help="cluster id")
    parser.add_argument("other", type=whole, metavar="CLUSTER", help="cluster id of the same identity")
    parser.add_argument("--by", metavar="NAME", help="who decides (none)")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    from raycluster.identities.corrections import merge

    count = merge(options.run_folder, options.one, options.other, options.by)
    return Answer({"run": options.run_folder, "decisions": count}, next_step(options.run_folder, count))


def next_step(run: str, count: int) -> str:
    """Return how decisions that were written come into force."""
    return f"{count:,} decisions are in {run}/decisions.parquet.\nNext: raycluster update {run} -o NEW_RUN"


VERB = Verb(
    name="merge",
    summary="Decide that two clusters are one identity; raycluster update puts it in force.",
    arguments=_arguments,
    run=_run,
    examples=("raycluster merge run 12 77", "raycluster merge run 12 77 --by ann", "raycluster update run -o run2"),
)
