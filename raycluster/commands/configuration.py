"""The configuration of a command line: recipe, model, columns and keys."""

import argparse
from dataclasses import fields, is_dataclass
from typing import Any

from raycluster.config.load import apply, load_config, stages_only
from raycluster.config.plain import EFFORT, limit_key
from raycluster.config.stages import DEFAULT_RECIPE, Config
from raycluster.config.yaml_files import load_yaml
from raycluster.errors import ConfigError
from raycluster.models.requirements import recipe_of


def stage_sections() -> dict[str, type]:
    """Return the sections of the configuration, one per stage, by name."""
    sections = {field.name: getattr(Config(), field.name) for field in fields(Config)}
    return {name: type(value) for name, value in sections.items() if is_dataclass(value)}


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """Add recipe, model and columns."""
    parser.add_argument("--recipe", metavar="NAME", help=f"recipe, or a YAML file ({DEFAULT_RECIPE})")
    parser.add_argument("--config", metavar="FILE", help=argparse.SUPPRESS)  # YAML with keys laid over the recipe
    parser.add_argument("--model", metavar="FOLDER", help="trained model, for recipes with a network (auto)")
    parser.add_argument("--id-column", metavar="NAME", help="column with unique ids (id)")
    parser.add_argument("--embedding-column", metavar="NAME", help="column with vectors (embedding)")


def configuration(options: argparse.Namespace, keys: dict[str, Any]) -> Config:
    """Return the configuration of a command line.

    Values of the options lie over those of the file, and these over the recipe's.
    """
    over: dict[str, Any] = load_yaml(options.config) if options.config else {}
    if getattr(options, "effort", None) and options.recipe:
        raise ConfigError("--effort and --recipe exclude each other.")
    recipe = options.recipe or EFFORT.get(getattr(options, "effort", None) or "") or over.pop("recipe", None)
    over.pop("recipe", None)
    model = options.model or over.get("model")
    origin = options.config or ""
    if recipe is None and model is not None:
        config = apply(recipe_of(model), stages_only(over), origin)
    else:
        config = load_config(recipe or DEFAULT_RECIPE, over, origin)
    plain = {name: getattr(options, name) for name in ("model", "id_column", "embedding_column")}
    changes: dict[str, Any] = {name: value for name, value in plain.items() if value is not None} | keys
    if getattr(options, "min_cluster_size", None) is not None:
        changes.setdefault("labels", {}).setdefault("min_cluster_size", options.min_cluster_size)
    if getattr(options, "limit", None) is not None:
        changes.setdefault("edges", {})[limit_key(config, "--limit")] = options.limit
    return apply(config, changes, "the command line")
