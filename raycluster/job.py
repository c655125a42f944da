"""The command line of `jobs/cluster.py`: where to read and write, how to run, and every key of the configuration."""

import argparse
from dataclasses import dataclass, field
from typing import Annotated, Any

import tyro

from raycluster import pipeline
from raycluster.config import DEFAULT_RECIPE, Config, load_config, load_yaml


@dataclass(frozen=True)
class ClusterArgs:
    """Find identities among the embeddings of `--input` and write them to the run folder `--output`.

    The same command goes on where an interrupted run stopped. Values come from the recipe, then from the file given as
    `--config`, then from the command line.
    """

    input: str
    """Parquet file, or folder of Parquet files, on disk or as s3://bucket/path."""
    output: str
    """Run folder, on disk or as s3://bucket/path."""
    settings: Annotated[Config, tyro.conf.arg(name="")]
    execution: Annotated[pipeline.Execution, tyro.conf.arg(name="")] = field(default_factory=pipeline.Execution)
    config: str | None = None
    """YAML file with keys laid over the recipe's."""


def with_recipe() -> ClusterArgs:
    """The arguments' defaults: what `--recipe` and `--config` of this command line say."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--recipe", nargs="?")
    early.add_argument("--config", nargs="?")
    known, _ = early.parse_known_args()
    overrides: dict[str, Any] = load_yaml(known.config) if known.config else {}
    recipe = known.recipe or overrides.pop("recipe", DEFAULT_RECIPE)
    overrides.pop("recipe", None)
    settings = load_config(recipe, overrides, known.config or "")
    return ClusterArgs(tyro.MISSING, tyro.MISSING, settings, config=known.config)


def cluster(args: ClusterArgs) -> dict[str, Any]:
    """Run the job of a parsed command line."""
    return pipeline.cluster(args.input, args.output, args.settings, args.execution)
