"""Layers of configuration: recipe, then YAML file, then command line."""

import dataclasses
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from raycluster.config.checks import Section, UnfitValueError, converted, kinds, nearest
from raycluster.config.networks import TrainingConfig
from raycluster.config.stages import DEFAULT_RECIPE, INTERNAL_KEYS, Config
from raycluster.config.yaml_files import load_yaml, parse_yaml
from raycluster.errors import ConfigError

AnySection = TypeVar("AnySection", bound=Section)
YAML = (".yaml", ".yml")


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package, sorted."""
    return sorted(_recipe_files())


def _recipe_files() -> dict[str, Traversable]:
    """Return the files of the package's recipes by name, the papers' included."""
    folder = resources.files("raycluster.config") / "recipes"
    entries = [*folder.iterdir(), *(folder / "papers").iterdir()]
    return {Path(entry.name).stem: entry for entry in entries if entry.name.endswith(".yaml")}


def recipe_text(name: str) -> str:
    """Return the YAML of a recipe of the package.

    Raises ConfigError where there is none of that name.
    """
    files = _recipe_files()
    if name not in files:
        raise ConfigError(f"There is no recipe '{name}'{nearest(name, sorted(files))}.")
    return files[name].read_text("utf-8")


def recipe_description(name: str) -> str:
    """Return the sentences that describe a recipe of the package."""
    return str(parse_yaml(recipe_text(name), f"recipe {name}").get("description", ""))


def load_config(recipe: str = DEFAULT_RECIPE, overrides: dict[str, Any] | None = None, origin: str = "") -> Config:
    """Return the configuration of a recipe with `overrides` laid over it.

    Parameters
    ----------
    recipe
        Name of a recipe of the package, or path of a YAML file.
    overrides
        Values by section and key. Keys may be written with hyphens or underscores.
    origin
        What holds the overrides, as error sentences name it: the path of a file.

    Returns
    -------
    Config
        All of its values fit each other.

    Raises
    ------
    ConfigError
        For an unknown recipe or key, with the nearest there is; for a value of the wrong type or range; and for
        settings that contradict each other.
    """
    values = _recipe_values(recipe, origin)
    config = apply(Config(recipe=recipe), stages_only(values), f"recipe {recipe}")
    return apply(config, stages_only(overrides or {}), origin)


def load_training(recipe: str, overrides: dict[str, Any] | None = None, origin: str = "") -> TrainingConfig:
    """Return how the networks of a recipe are built and trained.

    Parameters
    ----------
    recipe
        Name of a recipe of the package, or path of a YAML file.
    overrides
        Values by section and key, of which the section `training` is laid over the recipe's.
    origin
        What holds the overrides, as error sentences name it: the path of a file.

    Returns
    -------
    TrainingConfig
        With a network to train at least.

    Raises
    ------
    ConfigError
        As `load_config`, and for a recipe without networks.
    """
    values = _recipe_values(recipe, origin)
    if "training" not in values:
        raise ConfigError(f"The recipe {recipe} has no network to train.")
    config = _with_training(TrainingConfig(), values, f"recipe {recipe}")
    config = _with_training(config, overrides or {}, origin)
    if config.filter.network == "none" and config.predictor.form == "none":
        raise ConfigError(f"The recipe {recipe} has no network to train: both filter and predictor are none.")
    return config


def _with_training(config: TrainingConfig, values: dict[str, Any], origin: str) -> TrainingConfig:
    """Return a copy of `config` with the section `training` of `values` laid over it."""
    section = values.get("training", {})
    if not isinstance(section, dict):
        raise ConfigError(f"{origin} sets 'training' to {section!r}; it takes a mapping of keys.")
    return apply(config, section, origin, TrainingConfig.prefix)


def stages_only(values: dict[str, Any]) -> dict[str, Any]:
    """Return `values` without the section `training`, which only training reads."""
    return {name: value for name, value in values.items() if name != "training"}


def _recipe_values(recipe: str, origin: str, key: str = "recipe", derived: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the values of a recipe over those of its `base`.

    Parameters
    ----------
    recipe
        Name or YAML path of the recipe.
    origin
        What names the recipe, as error sentences write it.
    key
        The key that names it.
    derived
        Recipes whose bases lead to this one, to notice a circle.

    Returns
    -------
    dict
        Values by section and key.
    """
    if not isinstance(recipe, str):
        raise ConfigError(f"{origin} sets '{key}' to {recipe!r}; it takes the name of a recipe or a YAML file.")
    if recipe in derived:
        through = f", through {' and '.join(derived[1:])}" if len(derived) > 1 else ""
        raise ConfigError(f"The recipe {recipe} names itself as its base{through}.")
    if recipe in recipe_names():
        values = parse_yaml(_recipe_files()[recipe].read_text("utf-8"), f"recipe {recipe}")
    elif recipe.endswith(YAML):
        values = load_yaml(recipe)
    else:
        raise ConfigError(f"There is no recipe '{recipe}'{nearest(recipe, recipe_names())}.")
    values.pop("description", None)
    if "base" not in values:
        return values
    base = _recipe_values(values.pop("base"), f"recipe {recipe}", "base", (*derived, recipe))
    return _merged(base, values)


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return nested mappings laid over each other, with underscores in their keys."""
    result = {_plain(name): value for name, value in under.items()}
    for name, value in over.items():
        below = result.get(_plain(name))
        both = isinstance(value, dict) and isinstance(below, dict)
        result[_plain(name)] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return result


def _plain(key: Any) -> str:
    """Return a key as Python writes it: keys may have hyphens in place of underscores."""
    return str(key).replace("-", "_")


def apply(config: AnySection, values: dict[str, Any], origin: str, prefix: str = "") -> AnySection:
    """Return a copy of a configuration dataclass with `values` laid over it.

    Parameters
    ----------
    config
        What the other values are kept from.
    values
        Values by key, nested as the dataclasses are.
    origin
        What holds the values, as error sentences name it: the path of a file, or the name of a recipe.
    prefix
        What leads to the keys, as error sentences write it before them: "knn." for those of `KnnConfig`.

    Returns
    -------
    Section
        Of the class of `config`.

    Raises
    ------
    ConfigError
        For an unknown key, with the nearest there is; for a value of the wrong type or range; and for settings that
        contradict each other.
    """
    keys = {name: kind for name, kind in kinds(type(config)).items() if name not in INTERNAL_KEYS}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        name = _plain(key)
        if name not in keys:
            hint = _hint(name, list(keys), prefix)
            raise ConfigError(f"{origin} sets '{prefix}{key}', which is no key{hint}.")
        if dataclasses.is_dataclass(keys[name]):
            if not isinstance(value, dict):
                raise ConfigError(f"{origin} sets '{prefix}{key}' to {value!r}; it takes a mapping of keys.")
            changes[name] = apply(getattr(config, name), value, origin, f"{prefix}{name}.")
            continue
        try:
            changes[name] = converted(value, keys[name])
        except UnfitValueError as error:
            raise ConfigError(f"{origin} sets '{prefix}{key}' to {value!r}; {error}") from error
    return dataclasses.replace(config, **changes)


def _hint(name: str, names: list[str], prefix: str) -> str:
    """Return the end of a sentence about an unknown key.

    Parameters
    ----------
    name
        The unknown key.
    names
        The keys of its section.
    prefix
        What leads to them.

    Returns
    -------
    str
        The only section that has the key, or the nearest key of this section.
    """
    if f"{prefix}{name}" == "base":
        return "; a file with a base is a recipe: give it as --recipe"
    keys = [key for key in (*_dotted(Config, ""), *_dotted(TrainingConfig, "training.")) if key.endswith(f".{name}")]
    return f"; did you mean '{keys[0]}'" if len(keys) == 1 else nearest(name, names, prefix)


def _dotted(section: type, prefix: str) -> Iterator[str]:
    """Yield every key of a section and of those in it, with what leads to it."""
    for name, kind in kinds(section).items():
        if dataclasses.is_dataclass(kind):
            yield from _dotted(kind, f"{prefix}{name}.")  # type: ignore[arg-type]
        else:
            yield f"{prefix}{name}"


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Return where two nested mappings differ, as "key: old -> new".

    Parameters
    ----------
    old
        Values by key, nested.
    new
        Values by key, nested.
    prefix
        What is written before every key.

    Returns
    -------
    list
        One line per key that only one side has or that has two values.
    """
    lines = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += differences(before, after, f"{prefix}{name}.")
        elif before != after:
            lines.append(f"{prefix}{name}: {before} -> {after}")
    return lines
