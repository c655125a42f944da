"""Plain options of the command line and `Clusterer`: effort, limit, a few keys."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from raycluster.config.load import apply, load_config
from raycluster.config.stages import DEFAULT_RECIPE, Config
from raycluster.errors import ConfigError

EFFORT = {"fast": "cosine", "default": DEFAULT_RECIPE}
"""Recipe that an effort stands for."""
LIMITS = {"threshold": "threshold", "score": "eta", "early-stop": "theta", "density-peaks": "closeness"}
"""The limit of each rule that the option sets."""


def limit_key(config: Config, option: str) -> str:
    """Return the key of edges that the option for limits sets.

    Raises ConfigError where the recipe has no limit.
    """
    if config.edges.rule not in LIMITS:
        raise ConfigError(f"{option} has no use in the recipe {config.recipe}: its rule has no limit.")
    return LIMITS[config.edges.rule]


def configuration_of(params: Mapping[str, Any]) -> Config:
    """Return the configuration of the parameters of `Clusterer`, by name.

    Raises ConfigError where they are unknown, out of range or contradict each other.
    """
    recipe, effort, seed = params["recipe"], params["effort"], params["random_state"]
    if not isinstance(params["overrides"] or {}, Mapping):
        raise ConfigError(f"overrides is {params['overrides']!r}: it takes a mapping of keys, nested as in YAML.")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer)):
        raise ConfigError(f"random_state is {seed!r}: it takes a whole number of at least 0, or None.")
    if not isinstance(effort, str) or effort not in EFFORT:
        raise ConfigError(f"effort is {effort!r}: it takes 'default' or 'fast'.")
    if effort == "fast" and recipe not in (DEFAULT_RECIPE, EFFORT["fast"]):
        raise ConfigError(f"effort 'fast' and recipe '{recipe}' exclude each other.")
    config = load_config(EFFORT["fast"] if effort == "fast" else recipe, dict(params["overrides"] or {}), "overrides")
    values: dict[str, Any] = {}
    if params["n_neighbors"] is not None:
        values["knn"] = {"k": params["n_neighbors"]}
    if params["min_cluster_size"] is not None:
        values["labels"] = {"min_cluster_size": params["min_cluster_size"]}
    if params["model"] is not None:
        values["model"] = params["model"]
    if params["limit"] is not None:
        values["edges"] = {limit_key(config, "limit"): params["limit"]}
    config = apply(config, values, "Clusterer")
    if seed is not None:
        config = apply(config, {"knn": {"seed": int(seed)}, "communities": {"seed": int(seed) + 1}}, "random_state")
    return config
