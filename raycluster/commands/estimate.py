"""raycluster estimate: what a run would take, and what will not fit."""

import argparse
from collections.abc import Sequence
from typing import Any

from raycluster.commands.configuration import add_configuration, configuration, stage_sections
from raycluster.commands.verb import Answer, Verb, add_execution, add_input, execution_of, inputs_of
from raycluster.config.estimate import EstimateOptions
from raycluster.config.execution import Execution
from raycluster.config.stages import Config
from raycluster.errors import ConfigError


def answer_of(
    inputs: Sequence[str], output: str, config: Config, execution: Execution, options: EstimateOptions
) -> Answer:
    """Return the forecast of a run. Its table is printed on stderr.

    Parameters
    ----------
    inputs, output
        As in `raycluster cluster`; nothing is written there.
    config
        Of the run that is forecast.
    execution
        Executor, workers, threads and shards of that run.
    options
        Machines and prices.
    """
    from raycluster.estimate.forecast import dry_run

    if len(inputs) != 1:
        raise ConfigError("An estimate takes one input: a file or a folder.")
    return Answer(dry_run(inputs[0], output, config, execution, options).to_json())


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_input(parser, "Parquet file or folder, on disk or s3://bucket/path")
    parser.add_argument("-o", "--output", default="run", metavar="FOLDER", help="where the run would be written (run)")
    add_configuration(parser)
    parser.add_argument("--machine", metavar="NAME", help="kind of the nodes that work (this machine)")
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="nodes that work (1)")
    parser.add_argument("--rows", type=int, metavar="N", help="estimate for so many rows like the input's")
    parser.add_argument("--probe-seconds", type=float, default=30.0, metavar="S", help="how long to measure (30)")
    add_execution(parser)


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:
    plain = {name: getattr(options, name) for name in ("machine", "nodes", "rows", "probe_seconds")}
    chosen = EstimateOptions(**{**plain, **keys.pop("estimate", {})})
    config = configuration(options, keys)
    return answer_of(inputs_of(options), options.output, config, execution_of(options), chosen)


def _keys() -> dict[str, type]:
    return {**stage_sections(), "estimate": EstimateOptions}


VERB = Verb(
    name="estimate",
    summary="Say what a run would take: time, money, memory, disk, and what will not fit.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster estimate faces.parquet",
        "raycluster estimate faces.parquet --rows 5000000 --recipe cosine",
        "raycluster estimate s3://bucket/faces --machine r7i.8xlarge --nodes 4",
    ),
    keys=_keys,
)
