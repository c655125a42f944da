"""raycluster train: labelled embeddings in, a model folder out."""

import argparse
from typing import Any

from raycluster.commands.configuration import stage_sections
from raycluster.commands.verb import Answer, Verb, add_execution, add_input, add_output, execution_of, inputs_of
from raycluster.config.load import apply, load_config, load_training
from raycluster.config.networks import TrainingConfig
from raycluster.config.yaml_files import load_yaml

DEFAULT_RECIPE = "sdt-row"
"""Recipe of a training without `--recipe`."""
TUNING_RECIPE = "auto-tuned"
"""Recipe of a training that starts from another model."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_input(parser, "labelled sets: Parquet files or folders; each has its own kNN graph")
    add_output(parser, "model folder; the same command goes on where it stopped")
    parser.add_argument("--recipe", metavar="NAME", help=f"what to train ({DEFAULT_RECIPE})")
    parser.add_argument("--from", dest="from_model", metavar="MODEL", help="model to start from: a folder, or auto")
    parser.add_argument("--config", metavar="FILE", help="YAML file with keys laid over the recipe's")
    parser.add_argument(
        "--label-column", default="label", metavar="NAME", help="column with the identity; null: unknown"
    )
    parser.add_argument("--id-column", metavar="NAME", help="column with unique ids (id)")
    parser.add_argument("--embedding-column", metavar="NAME", help="column with vectors (embedding)")
    add_execution(parser)


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:
    from raycluster.training.job import TrainingRequest, train_model  # torch is imported only where it is needed

    over: dict[str, Any] = load_yaml(options.config) if options.config else {}
    recipe = options.recipe or over.pop("recipe", TUNING_RECIPE if options.from_model else DEFAULT_RECIPE)
    over.pop("recipe", None)
    config, training = (
        load_config(recipe, over, options.config or ""),
        load_training(recipe, over, options.config or ""),
    )
    training = apply(training, keys.pop("training", {}), "the command line", "training.")
    columns = {name: getattr(options, name) for name in ("id_column", "embedding_column")}
    changes: dict[str, Any] = {name: value for name, value in columns.items() if value is not None} | keys
    config = apply(config, changes, "the command line")
    request = TrainingRequest(
        inputs_of(options),
        options.output,
        config,
        training,
        execution_of(options),
        options.label_column,
        options.from_model,
    )
    result = train_model(request)
    return Answer(
        result, f"The model is in {options.output}.\nNext: raycluster cluster INPUT -o RUN --model {options.output}"
    )


VERB = Verb(
    name="train",
    summary="Train the networks of a recipe on labelled sets and write a model folder.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster train labelled.parquet -o model",
        "raycluster train few-labels.parquet -o model --from auto",
        "raycluster train faces -o model --recipe diff-cluster --training.predictor.fit.steps 2000",
    ),
    keys=lambda: {**stage_sections(), "training": TrainingConfig},
)
