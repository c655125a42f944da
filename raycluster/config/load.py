"""Values laid over configuration dataclasses: a recipe's, then a YAML file's, then the command line's."""

import dataclasses
import difflib
import types
import typing
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from raycluster.config.networks import TrainingConfig
from raycluster.config.stages import DEFAULT_RECIPE, INTERNAL_KEYS, Config
from raycluster.errors import ConfigError

Section = TypeVar("Section")


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(_recipe_files())


def _recipe_files() -> dict[str, Traversable]:
    """The files of the recipes that come with the package, those of the papers included, by the recipe's name."""
    folder = resources.files("raycluster.config") / "recipes"
    entries = [*folder.iterdir(), *(folder / "papers").iterdir()]
    return {Path(entry.name).stem: entry for entry in entries if entry.name.endswith(".yaml")}


def load_config(recipe: str = DEFAULT_RECIPE, overrides: dict[str, Any] | None = None, source: str = "") -> Config:
    """The configuration of a recipe (name or YAML path) with `overrides`, a nested mapping read from `source`.

    Raises ConfigError for an unknown recipe or key, naming the nearest, and for a value of the wrong type or range.
    """
    config = apply(Config(recipe=recipe), stages_only(_recipe_values(recipe, source)), f"recipe {recipe}")
    return apply(config, stages_only(overrides or {}), source)


def load_training(recipe: str, overrides: dict[str, Any] | None = None, source: str = "") -> TrainingConfig:
    """How the networks of a recipe are built and trained, with the `training` section of `overrides` laid over.

    Raises ConfigError as `load_config`, and for a recipe without networks.
    """
    values = _recipe_values(recipe, source)
    if "training" not in values:
        raise ConfigError(f"The recipe {recipe} has no network to train.")
    config = _with_training(TrainingConfig(), values, f"recipe {recipe}")
    config = _with_training(config, overrides or {}, source)
    if config.filter.network == "none" and config.predictor.form == "none":
        raise ConfigError(f"The recipe {recipe} has no network to train: both filter and predictor are none.")
    return config


def _with_training(config: TrainingConfig, values: dict[str, Any], source: str) -> TrainingConfig:
    section = values.get("training", {})
    if not isinstance(section, dict):
        raise ConfigError(f"{source} sets 'training' to {section!r}, but it takes a mapping of keys.")
    return apply(config, section, source, "training.")


def stages_only(values: dict[str, Any]) -> dict[str, Any]:
    """`values` without the section that only jobs/train.py reads."""
    return {name: value for name, value in values.items() if name != "training"}


def _recipe_values(recipe: str, source: str, key: str = "recipe", above: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a recipe sets, over what the recipe named as its `base` sets."""
    if not isinstance(recipe, str):
        raise ConfigError(f"{source} sets '{key}' to {recipe!r}; it takes the name of a recipe or a YAML file.")
    if recipe in above:
        raise ConfigError(f"The recipe {recipe} names itself as its base{_through(above)}.")
    if recipe in recipe_names():
        text = _recipe_files()[recipe].read_text("utf-8")
        values = _read_yaml(text, f"recipe {recipe}")
    elif recipe.endswith((".yaml", ".yml")):
        values = load_yaml(recipe)
    else:
        raise ConfigError(f"There is no recipe '{recipe}'{_nearest(recipe, recipe_names())}.")
    values.pop("description", None)
    if "base" not in values:
        return values
    base = _recipe_values(values.pop("base"), f"recipe {recipe}", "base", (*above, recipe))
    return _merged(base, values)


def _through(above: tuple[str, ...]) -> str:
    return f", through {' and '.join(above[1:])}" if len(above) > 1 else ""


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Nested mappings laid over each other; keys may be written with - or _."""
    result = {str(name).replace("-", "_"): value for name, value in under.items()}
    for raw, value in over.items():
        name = str(raw).replace("-", "_")
        nested = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = _merged(result[name], value) if nested else value
    return result


def load_yaml(path: str) -> dict[str, Any]:
    """The mapping in a YAML file; raises ConfigError where the file is missing or holds something else."""
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"The configuration file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The configuration file {path} is not UTF-8 text.") from error
    return _read_yaml(text, path)


def _read_yaml(text: str, source: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{source} must hold a mapping of stage names to keys.")
    return values


def apply(config: Section, values: dict[str, Any], source: str, prefix: str = "") -> Section:
    """A copy of a configuration dataclass with the nested mapping `values`, read from `source`, laid over it."""
    hints = {key: hint for key, hint in typing.get_type_hints(type(config)).items() if key not in INTERNAL_KEYS}
    changes: dict[str, Any] = {}
    for raw, value in values.items():
        name = str(raw).replace("-", "_")
        if name not in hints:
            raise ConfigError(f"{source} sets '{prefix}{raw}', which is no key{_nearest(name, list(hints), prefix)}.")
        if dataclasses.is_dataclass(hints[name]):
            if not isinstance(value, dict):
                raise ConfigError(f"{source} sets '{prefix}{raw}' to {value!r}, but it takes a mapping of keys.")
            changes[name] = apply(getattr(config, name), value, source, f"{prefix}{name}.")
        else:
            changes[name] = _checked(value, hints[name], f"{source} sets '{prefix}{raw}'")
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def _checked(value: Any, kind: Any, what: str) -> Any:
    choices = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        if value not in choices:
            raise ConfigError(f"{what} to {value!r}; it takes one of {', '.join(map(str, choices))}.")
        return value
    if isinstance(kind, types.UnionType):
        return None if value is None else _checked(value, choices[0], what)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{what} to {value!r}; it takes a list.")
        return tuple(_checked(item, choices[0], what) for item in value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"{what} to {value!r}; it takes a value of type {kind.__name__}.")
    return value


def _nearest(name: str, known: list[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"; did you mean '{prefix}{near[0]}'" if near else f"; there are {', '.join(known)}"


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Where two configurations written as nested mappings differ, as `key: old -> new`."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, f"{prefix}{name}.")
        elif before != after:
            found.append(f"{prefix}{name}: {before} -> {after}")
    return found
