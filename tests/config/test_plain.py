"""Plain options as a configuration."""

import numpy as np
import pytest

from raycluster import Clusterer
from raycluster.config.load import load_config
from raycluster.config.plain import configuration_of, limit_key
from raycluster.errors import ConfigError


def params(**changes):
    return {**Clusterer().get_params(), **changes}


def test_plain_parameters_reach_the_keys_they_stand_for():
    config = configuration_of(params(effort="fast", n_neighbors=33, limit=0.7, min_cluster_size=4, random_state=5))
    assert (config.recipe, config.knn.k, config.edges.threshold) == ("cosine", 33, 0.7)
    assert (config.labels.min_cluster_size, config.knn.seed, config.communities.seed) == (4, 5, 6)
    assert configuration_of(params(overrides={"knn": {"k": 9}}, n_neighbors=11)).knn.k == 11


def test_contradictions_are_refused():
    with pytest.raises(ConfigError, match="exclude each other"):
        configuration_of(params(effort="fast", recipe="components"))
    with pytest.raises(ConfigError, match="takes 'default' or 'fast'"):
        configuration_of(params(effort="slow"))


def test_every_rule_with_a_limit_has_its_key():
    assert limit_key(load_config("cosine"), "limit") == "threshold"
    assert limit_key(load_config("auto"), "limit") == "eta"
    with pytest.raises(ConfigError, match="has no limit"):
        limit_key(load_config("facemap"), "limit")


@pytest.mark.parametrize("seed", ["a", 1.5, True, np.random.RandomState(0), np.random.default_rng(0)])
def test_seeds_are_whole_numbers(seed):
    with pytest.raises(ConfigError, match=r"random_state is .*: it takes a whole number"):
        configuration_of(params(random_state=seed))
    assert configuration_of(params(random_state=np.int64(3))).knn.seed == 3


@pytest.mark.parametrize("overrides", ["knn", 5, [("knn", {"k": 9})]])
def test_overrides_are_a_mapping(overrides):
    with pytest.raises(ConfigError, match=r"overrides is .*: it takes a mapping of keys"):
        configuration_of(params(overrides=overrides))
