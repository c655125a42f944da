"""raycluster evaluate: a finished run against true identities."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb
from raycluster.evaluation.evaluate import evaluate
from raycluster.evaluation.words import describe_scores


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", nargs="?", metavar="RUN", help="run folder of raycluster cluster")
    parser.add_argument("truth_file", nargs="?", metavar="TRUTH", help="Parquet, CSV, TSV or JSON lines: id and label")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--truth", help=argparse.SUPPRESS)
    parser.add_argument("--id-column", default="id", metavar="NAME", help="column with the run's ids (id)")
    parser.add_argument("--label-column", default="label", metavar="NAME", help="column with the identity (label)")
    parser.add_argument("--known-only", action="store_true", help="leave out ids that the run does not have")
    parser.add_argument(
        "--sweep", nargs="+", type=float, default=[], metavar="X", help="scores at other limits as well"
    )
    parser.add_argument("--hard-clusters", action="store_true", help="scores by size and sparsity of identities (S2)")
    parser.add_argument("--draw", metavar="CSV", help="without labels: write a sample of rows for people to review")
    parser.add_argument("--draws", type=int, metavar="N", help="rows of that sample (400)")
    parser.add_argument("--reviewed", metavar="CSV", help="precision and recall, with intervals, from a filled sample")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    from raycluster.errors import ConfigError

    run, truth = options.run or options.run_folder, options.truth or options.truth_file
    if run is not None and (options.draw is not None or options.reviewed is not None):
        return _without_labels(run, options)
    if run is None or truth is None:
        raise ConfigError("Missing: RUN and TRUTH, a run folder and a table with labels.")
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


def _without_labels(run: str, options: argparse.Namespace) -> Answer:
    """Write a sample for people, or estimate from a filled one."""
    from raycluster.review.estimates import DRAWS, estimates
    from raycluster.review.sample import describe_estimates, read_sample, write_sample

    if options.draw is not None:
        rows = write_sample(run, options.draw, options.draws or DRAWS)
        words = (
            f"{rows:,} rows are in {options.draw}. Fill in `right` and `identity_size`; then: --reviewed {options.draw}"
        )
        return Answer({"rows": rows, "output": options.draw}, words)
    reviewed, num_empty = read_sample(run, options.reviewed)
    return Answer(*describe_estimates(estimates(reviewed), len(reviewed.right), num_empty))


VERB = Verb(
    name="evaluate",
    summary="Compare a finished run with true identities.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster evaluate run labelled.parquet",
        "raycluster evaluate run labelled.parquet --sweep 0.5 0.6 0.7",
        "raycluster evaluate run --draw sample.csv",
    ),
)
