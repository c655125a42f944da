"""raycluster evaluate: a finished run against true identities."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb
from raycluster.evaluation.evaluate import evaluate
from raycluster.evaluation.words import describe_scores


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", nargs="?", metavar="RUN", help="run folder of raycluster cluster")
    parser.add_argument("truth_file", nargs="?", metavar="TRUTH", help="Parquet with an id and a label column")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--truth", help=argparse.SUPPRESS)
    parser.add_argument("--id-column", default="id", metavar="NAME", help="column with the run's ids (id)")
    parser.add_argument("--label-column", default="label", metavar="NAME", help="column with the identity (label)")
    parser.add_argument("--known-only", action="store_true", help="leave out ids that the run does not have")
    parser.add_argument(
        "--sweep", nargs="+", type=float, default=[], metavar="X", help="scores at other limits as well"
    )
    parser.add_argument("--hard-clusters", action="store_true", help="scores by size and sparsity of identities (S2)")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    from raycluster.errors import ConfigError

    run, truth = options.run or options.run_folder, options.truth or options.truth_file
    if run is None or truth is None:
        raise ConfigError("Missing: RUN and TRUTH, a run folder and a Parquet with labels.")
    scores = evaluate(
        run,
        truth,
        id_column=options.id_column,
        label_column=options.label_column,
        known_only=options.known_only,
        sweep=options.sweep,
        hard_clusters=options.hard_clusters,
    )
    return Answer(scores, describe_scores(scores))


VERB = Verb(
    name="evaluate",
    summary="Compare a finished run with true identities.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster evaluate run labelled.parquet",
        "raycluster evaluate run labelled.parquet --label-column person --json scores.json",
        "raycluster evaluate run labelled.parquet --sweep 0.5 0.6 0.7",
    ),
)
