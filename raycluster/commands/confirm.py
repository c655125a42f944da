"""raycluster confirm: ids of confirmed clusters win over others.

Updates merge no two of these clusters by themselves.
"""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb, whole


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", help="finished run")
    parser.add_argument("clusters", nargs="+", type=whole, metavar="CLUSTER", help="cluster ids")
    parser.add_argument("--withdraw", action="store_true", help="they are no longer confirmed")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    from raycluster.identities.confirmations import confirm

    run = options.run_folder
    count = confirm(run, options.clusters, options.withdraw)
    text = f"{count:,} clusters are confirmed in {run}/confirmed.parquet.\nNext: raycluster update {run} -o NEW_RUN"
    return Answer({"run": run, "confirmed": count}, text)


VERB = Verb(
    name="confirm",
    summary="Confirm clusters: their ids win, and updates merge no two of them by themselves.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster confirm run 12 77",
        "raycluster confirm run 12 --withdraw",
        "raycluster update run --input new.parquet -o run2",
    ),
)
