"""The command line of `jobs/train.py`: labelled sets in, a model folder out."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import tyro

from raycluster.command_line import early_options
from raycluster.config.execution import Execution
from raycluster.config.load import load_config, load_training
from raycluster.config.networks import TrainingConfig
from raycluster.config.stages import Config
from raycluster.config.yaml_files import load_yaml
from raycluster.storage.tables import Facts

DEFAULT_RECIPE = "sdt-row"
"""Recipe of a training without `--recipe`."""
TUNING_RECIPE = "auto-tuned"
"""Recipe of a training that starts from another model."""


@dataclass(frozen=True)
class TrainArgs:
    """Train the networks of a recipe on labelled sets; write the model `--output`.

    The same command goes on where an interrupted one stopped. Values come from the recipe, then from the file given as
    `--config`, then from the command line.
    """

    input: tuple[str, ...]
    """Labelled sets, each a Parquet file or a folder of them, on disk or as s3://bucket/path. Every set has its own
    kNN graph; sets of different width need a recipe with Gram tokens. Recipes that generate their own sets need none."""
    output: str
    """Model folder, on disk or as s3://bucket/path."""
    settings: Annotated[Config, tyro.conf.arg(name="")]
    training: TrainingConfig
    execution: Annotated[Execution, tyro.conf.arg(name="")] = field(default_factory=Execution)
    label_column: str = "label"
    """Column with the true identity, integers or strings; rows whose label is null are neighbors, never samples."""
    from_model: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """Model to start from, a folder of jobs/train.py or the name of a model in the package, such as auto. The recipe
    is then auto-tuned unless given, and must build the networks as the model has them. Few labels are enough to fit it to
    other data; where they are too few to calibrate on, its probabilities and eta are kept."""
    config: str | None = None
    """YAML file with keys laid over the recipe's, those of training under `training`."""


def with_recipe() -> TrainArgs:
    """Return the defaults that `--recipe` and `--config` of this command line set."""
    recipe, path, model = early_options("--recipe", "--config", "--from")
    overrides: dict[str, Any] = load_yaml(path) if path else {}
    recipe = recipe or overrides.pop("recipe", TUNING_RECIPE if model else DEFAULT_RECIPE)
    overrides.pop("recipe", None)
    settings = load_config(recipe, overrides, path or "")
    training = load_training(recipe, overrides, path or "")
    return TrainArgs((), tyro.MISSING, settings, training, config=path)


def train(args: TrainArgs) -> Facts:
    """Run the training of a parsed command line."""
    from raycluster.training.job import TrainingRequest, train_model  # torch is imported only where it is needed

    return train_model(
        TrainingRequest(
            args.input, args.output, args.settings, args.training, args.execution, args.label_column, args.from_model
        )
    )
