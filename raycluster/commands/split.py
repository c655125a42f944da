"""raycluster split: decide that rows of a cluster are another identity."""

import argparse
from typing import Any

from raycluster.commands.merge import next_step
from raycluster.commands.verb import Answer, Verb, whole


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", help="finished run")
    parser.add_argument("cluster", type=whole, metavar="CLUSTER", help="cluster id")
    parser.add_argument("--rows", nargs="+", required=True, metavar="ID", help="ids of the rows that leave it together")
    parser.add_argument("--by", metavar="NAME", help="who decides (none)")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    from raycluster.identities.corrections import split

    count = split(options.run_folder, options.cluster, options.rows, options.by)
    return Answer({"run": options.run_folder, "decisions": count}, next_step(options.run_folder, count))


VERB = Verb(
    name="split",
    summary="Decide that rows of a cluster are another identity; raycluster update puts it in force.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster split run 94 --rows 1017",
        "raycluster split run 94 --rows 1017 1018 --by ann",
        "raycluster update run -o run2",
    ),
)
