"""Configurations that raycluster wrote: in plans of runs and in cards of models."""

from dataclasses import replace
from typing import Any

from raycluster.config.load import apply
from raycluster.config.stages import INTERNAL_KEYS, Config
from raycluster.errors import ConfigError

RETIRED: dict[str, Any] = {
    "relations.floor": None,
    "density.tolerance": 0.05,
    "edges.epsilon": -5.0,
    "edges.gap_window": 20,
    "edges.gap_z": 3.0,
    "communities.isolate_without_out_edges": False,
}
"""Keys of earlier versions, and the only value of each that this version still computes with: it is a constant now."""


def stored_config(values: dict[str, Any], origin: str) -> Config:
    """Return the configuration that a file of raycluster's own describes.

    Keys that are constants now are left out. `values` is the nested mapping in the file, `origin` the file's name. Raises
    ConfigError where a retired key has another value than the constant, and as `apply` does.
    """
    internal = {key: values[key] for key in INTERNAL_KEYS if key in values}
    public = {key: value for key, value in values.items() if key not in INTERNAL_KEYS}
    return replace(apply(Config(), _without_retired(public, origin), origin), **internal)


def _without_retired(values: dict[str, Any], origin: str) -> dict[str, Any]:
    """Return a copy of `values` without the keys of `RETIRED`."""
    kept = {name: dict(value) if isinstance(value, dict) else value for name, value in values.items()}
    for key, constant in RETIRED.items():
        section, name = key.split(".")
        if not isinstance(kept.get(section), dict) or name not in kept[section]:
            continue
        value = kept[section].pop(name)
        if value != constant:
            raise ConfigError(
                f"{origin} sets '{key}' to {value!r}, but this version computes with {constant!r} only; use the version "
                "that wrote it."
            )
    return kept
