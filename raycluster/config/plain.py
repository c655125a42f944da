"""Plain options of the command line and `Clusterer`: effort, limit, a few keys."""

from collections.abc import Iterator, Mapping
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
    config = apply(config, dict(_keys_of(params, config)), "Clusterer")
    if seed is None:
        return config
    return apply(config, {"knn": {"seed": int(seed)}, "communities": {"seed": int(seed) + 1}}, "random_state")


def _keys_of(params: Mapping[str, Any], config: Config) -> Iterator[tuple[str, Any]]:
    """Yield the keys of a configuration that parameters of `Clusterer` stand for."""
    neighbors, smallest, model, limit = (params[name] for name in ("n_neighbors", "min_cluster_size", "model", "limit"))
    if neighbors is not None:
        yield "knn", {"k": neighbors}
    if smallest is not None:
        yield "labels", {"min_cluster_size": smallest}
    if model is not None:
        yield "model", model
    if limit is not None:
        yield "edges", {limit_key(config, "limit"): limit}
