"""The configuration of a command line: recipe under file under options, and the limit of the recipe's rule."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from raycluster.commands.configuration import add_configuration, configuration, stage_sections
from raycluster.config.load import load_config
from raycluster.config.plain import limit_key
from raycluster.config.stages import Config
from raycluster.errors import ConfigError


def configured(*words: str, keys: dict[str, Any] | None = None, **values: Any) -> Config:
    """The configuration of these options; `values` are those that only `cluster` has."""
    parser = argparse.ArgumentParser()
    add_configuration(parser)
    options = parser.parse_args(words)
    for name, value in {"effort": None, "limit": None, "min_cluster_size": None, **values}.items():
        setattr(options, name, value)
    return configuration(options, keys or {})


def test_options_lie_over_the_file_and_the_file_over_the_recipe(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("recipe: cosine\nknn: {k: 30}\nedges: {threshold: 0.5}\nid_column: face\n")
    config = configured("--config", str(file), "--id-column", "key", keys={"edges": {"threshold": 0.7}})
    assert (config.recipe, config.knn.k, config.edges.threshold, config.id_column) == ("cosine", 30, 0.7, "key")
    assert configured("--config", str(file)).edges.threshold == 0.5
    assert configured("--config", str(file), "--recipe", "components").recipe == "components"


def test_an_effort_is_a_recipe_and_excludes_one() -> None:
    assert configured(effort="fast").recipe == "cosine"
    assert configured().recipe == configured(effort="default").recipe == "auto"
    with pytest.raises(ConfigError, match=r"^--effort and --recipe exclude each other\.$"):
        configured("--recipe", "cosine", effort="fast")


@pytest.mark.parametrize(("recipe", "key"), [("cosine", "threshold"), ("auto", "eta"), ("fc-es", "theta")])
def test_a_limit_sets_the_limit_of_the_recipes_rule(recipe: str, key: str) -> None:
    config = configured("--recipe", recipe, limit=0.625)
    assert limit_key(config, "--limit") == key
    assert getattr(config.edges, key) == 0.625


def test_a_recipe_without_a_limit_refuses_one() -> None:
    with pytest.raises(ConfigError, match=r"^--limit has no use in the recipe facemap: its rule has no limit\.$"):
        configured("--recipe", "facemap", limit=0.5)


def test_the_smallest_cluster_yields_to_a_key() -> None:
    assert configured(min_cluster_size=4).labels.min_cluster_size == 4
    assert configured(min_cluster_size=4, keys={"labels": {"min_cluster_size": 6}}).labels.min_cluster_size == 6


def test_every_section_of_the_configuration_is_one() -> None:
    sections = stage_sections()
    assert {"embeddings", "knn", "topk", "edges", "communities", "labels"} <= sections.keys()
    assert all(type(getattr(load_config("cosine"), name)) is kind for name, kind in sections.items())
