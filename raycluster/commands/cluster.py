"""The command line of `jobs/cluster.py`."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import tyro

from raycluster.command_line import early_options
from raycluster.config.estimate import EstimateOptions
from raycluster.config.execution import Execution
from raycluster.config.load import apply, load_config, stages_only
from raycluster.config.stages import DEFAULT_RECIPE, Config
from raycluster.config.yaml_files import load_yaml
from raycluster.models.requirements import recipe_of
from raycluster.pipeline import run as pipeline


@dataclass(frozen=True)
class ClusterArgs:
    """Find identities among embeddings and write them to a run folder.

    The same command continues an interrupted run. Values come from the recipe, then from the file of `--config`, then
    from the command line.
    """

    input: str
    """Parquet file, or folder of Parquet files, on disk or as s3://bucket/path."""
    output: str
    """Run folder, on disk or as s3://bucket/path."""
    settings: Annotated[Config, tyro.conf.arg(name="")]
    execution: Annotated[Execution, tyro.conf.arg(name="")] = field(default_factory=Execution)
    config: str | None = None
    """YAML file with keys laid over the recipe's."""
    dry_run: bool = False
    """Print what the run would take and what would not fit, and write nothing."""
    estimate: EstimateOptions = field(default_factory=EstimateOptions)
    """What `--dry-run` assumes."""


def with_recipe() -> ClusterArgs:
    """Return the defaults of all options on this command line.

    They are those of `--recipe`, or else of the recipe of `--model`, under those of `--config`.
    """
    recipe, path, model = early_options("--recipe", "--config", "--model")
    overrides: dict[str, Any] = load_yaml(path) if path else {}
    named = recipe or overrides.pop("recipe", None)
    overrides.pop("recipe", None)
    model = model or overrides.get("model")
    if named is None and isinstance(model, str):
        settings = apply(recipe_of(model), stages_only(overrides), path or "")
    else:
        settings = load_config(named or DEFAULT_RECIPE, overrides, path or "")
    return ClusterArgs(tyro.MISSING, tyro.MISSING, settings, config=path)


def cluster(args: ClusterArgs) -> dict[str, Any]:
    """Run the job of a parsed command line, or estimate it."""
    if args.dry_run:
        from raycluster.estimate.forecast import dry_run  # a run itself needs none of it

        return dry_run(args.input, args.output, args.settings, args.execution, args.estimate).to_json()
    return pipeline.cluster(args.input, args.output, args.settings, args.execution)
