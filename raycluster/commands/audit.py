"""raycluster audit: labels of a labelled set that are likely wrong."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", nargs="?", metavar="RUN", help="finished run, or folder of an update")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument(
        "--truth", metavar="FILE", help="labels to check, Parquet, CSV, TSV or JSON lines: id and label"
    )
    parser.add_argument("--id-column", default="id", metavar="NAME", help="column with the run's ids (id)")
    parser.add_argument("--label-column", default="label", metavar="NAME", help="column with the label (label)")
    parser.add_argument(
        "--min-confidence",
        type=float,
        metavar="P",
        help="lowest confidence that is listed (0.5; 0.3 for a second label)",
    )


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    from raycluster.errors import ConfigError
    from raycluster.review.audit_run import audit_run

    run = options.run or options.run_folder
    if run is None or options.truth is None:
        raise ConfigError("Missing: RUN and --truth, a run folder and a table with labels.")
    audited = audit_run(
        run,
        options.truth,
        id_column=options.id_column,
        label_column=options.label_column,
        least=options.min_confidence,
    )
    return Answer(audited.to_json(), audited.in_words())


VERB = Verb(
    name="audit",
    summary="List labels of a labelled set that are likely wrong, with a suggestion for each.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster audit run --truth labelled.parquet",
        "raycluster audit run --truth labelled.parquet --label-column person --min-confidence 0.8",
        "raycluster audit run --truth labelled.parquet --json findings.json",
    ),
)
