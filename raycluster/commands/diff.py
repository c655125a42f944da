"""raycluster diff: what changed between two runs."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb
from raycluster.pipeline.diff import diff


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="BEFORE", help="run folder")
    parser.add_argument("after", metavar="AFTER", help="run folder to compare it with")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    found = diff(options.before, options.after)
    words = ", ".join(f"{count:,} {kind}" for kind, count in found.clusters.items() if count) or "no clusters"
    text = (
        f"Clusters: {words}.\n{found.rows_moved:,} of {found.rows_common:,} rows of both runs moved; "
        f"{found.rows_new:,} rows are new, {found.rows_gone:,} are gone."
    )
    return Answer(found.to_json(), text)


VERB = Verb(
    name="diff",
    summary="Say what changed between two runs: same, grown, shrunk, split, merged, new, gone.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster diff run-monday run-tuesday",
        "raycluster diff a b --json changes.json",
        "raycluster diff a b",
    ),
)
