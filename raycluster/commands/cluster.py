"""raycluster cluster: embeddings in, identities out."""

import argparse
from typing import Any

from raycluster.commands.configuration import add_configuration, configuration, stage_sections
from raycluster.commands.verb import (
    Answer,
    Verb,
    add_deciding,
    add_execution,
    add_input,
    add_output,
    deciding_columns,
    execution_of,
    inputs_of,
)
from raycluster.config.estimate import EstimateOptions
from raycluster.config.execution import Execution
from raycluster.config.plain import EFFORT
from raycluster.errors import ConfigError

KEPT = ("results", "resume", "all")
"""What stays of the stages of a run that succeeded."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_input(parser, "Parquet files, folders or patterns, on disk or s3://bucket/path")
    add_output(parser, "run folder; the same command goes on where it stopped")
    add_configuration(parser)
    parser.add_argument("--effort", choices=tuple(EFFORT), help="fast: cosine alone, 1.2 to 6 times as fast")
    parser.add_argument(
        "--limit", type=float, metavar="X", help="what an edge must reach; higher splits more (from the data)"
    )
    parser.add_argument("--min-cluster-size", type=int, metavar="N", help="rows below which a cluster is outliers (2)")
    add_execution(parser)
    parser.add_argument("--previous", metavar="RUN", help="finished run whose cluster ids go on")
    add_deciding(parser, is_shown=False)
    parser.add_argument("--keep", choices=KEPT, default="resume",
                        help="what stays of stages/: none, enough to go on, or all (resume)")  # fmt: skip
    parser.add_argument("--no-report", action="store_true", help="write no RUN/report.html")
    parser.add_argument("--replan", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--dry-run", action="store_true", help="say what it would take; write nothing")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:
    inputs = inputs_of(options)
    if not inputs:
        raise ConfigError("Missing: INPUT, a Parquet file or a folder of them.")
    estimate = EstimateOptions(**keys.pop("estimate", {}))
    config = configuration(options, keys)
    execution: Execution = execution_of(options, replan=options.replan)
    if options.dry_run:
        from raycluster.commands.estimate import answer_of  # a run itself needs none of it

        return answer_of(inputs, options.output, config, execution, estimate)
    from raycluster.pipeline.clean import clean
    from raycluster.pipeline.run import cluster
    from raycluster.pipeline.words import describe_run

    columns = deciding_columns(options)
    if not (options.previous or options.decisions or columns):
        summary = cluster(inputs if len(inputs) > 1 else inputs[0], options.output, config, execution)
        lines = [describe_run(summary)]
    else:
        from raycluster.identities.afresh import Legacy
        from raycluster.identities.job import cluster_on, in_words

        legacy = Legacy(options.previous, options.decisions, columns, options.on_conflict, options.yes)
        summary = cluster_on(inputs, options.output, config, execution, legacy)
        lines = [describe_run(summary), in_words(summary)]
    if not options.no_report:
        from raycluster.review.after_run import report_line

        lines.append(report_line(options.output) or "")
    if options.keep != "all":
        clean(options.output, options.keep)
    return Answer(summary, "\n".join(lines).strip())


VERB = Verb(
    name="cluster",
    summary="Find identities among embeddings and write them to a run folder.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster cluster faces.parquet -o run",
        "raycluster cluster s3://bucket/faces -o s3://bucket/run --workers 16",
        "raycluster cluster products/*.parquet -o run --effort fast --limit 0.8",
    ),
    keys=lambda: {**stage_sections(), "estimate": EstimateOptions},
)
