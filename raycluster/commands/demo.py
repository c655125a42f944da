"""raycluster demo: generated faces, clustered and evaluated, from anywhere."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb, whole


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", default="raycluster-demo", metavar="FOLDER", help="folder (raycluster-demo)")
    parser.add_argument("--rows", type=whole, default=5000, metavar="N", help="faces to generate (5000)")
    parser.add_argument("--effort", choices=("fast", "default"), default="default", help="fast: cosine alone")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    from raycluster.config.execution import Execution
    from raycluster.config.load import load_config
    from raycluster.config.plain import EFFORT
    from raycluster.evaluation.evaluate import evaluate
    from raycluster.evaluation.words import describe_scores
    from raycluster.pipeline.run import cluster
    from raycluster.pipeline.words import describe_run
    from raycluster.review.after_run import report_line
    from raycluster.storage.object_store import Store
    from raycluster.synthetic.generator import write_parquet
    from raycluster.synthetic.settings import PRESETS, SyntheticConfig

    name = f"{options.output}/faces-{options.rows}"
    if not Store(name).files():
        write_parquet(SyntheticConfig(**{**PRESETS["demo"], "rows": options.rows}), name)
    run = f"{options.output}/run-{options.rows}-{options.effort}"
    summary = cluster(name, run, load_config(EFFORT[options.effort]), Execution("local"))
    scores = evaluate(run, name)
    lines = [describe_run(summary), *([line] if (line := report_line(run)) else [])]
    text = "\n".join([*lines, "", f"Against the identities that were generated: {describe_scores(scores)}"])
    return Answer({"run": summary, "scores": scores}, text)


VERB = Verb(
    name="demo",
    summary="Generate faces, cluster them and compare with the identities that were generated.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster demo",
        "raycluster demo --rows 2000 --effort fast",
        "raycluster demo --rows 20000 -o /tmp/demo",
    ),
)
