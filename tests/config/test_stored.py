"""Stored configurations: what raycluster wrote reads back, also where an earlier version wrote it."""

import json
from dataclasses import asdict, replace
from importlib import resources
from typing import Any

import pytest

from raycluster.config.load import load_config, recipe_names
from raycluster.config.stages import Config
from raycluster.config.stored import RETIRED, stored_config
from raycluster.errors import ConfigError
from raycluster.kernels.edge_rules.gap import GAP_WINDOW, GAP_Z
from raycluster.kernels.neighborhoods.diffusion import TOLERANCE
from raycluster.kernels.neighborhoods.nep import EPSILON


@pytest.mark.parametrize("name", recipe_names())
def test_a_stored_configuration_reads_back_equal_with_its_model(name: str) -> None:
    config = replace(load_config(name), model="somewhere", model_digest="12")
    assert stored_config(asdict(config), "plan.json") == config


def test_a_configuration_of_before_the_constants_were_constants_reads_as_it_was() -> None:
    values: dict[str, Any] = asdict(load_config("facemap"))
    for key, constant in RETIRED.items():
        section, name = key.split(".")
        values[section][name] = constant
    assert stored_config(values, "card.json") == load_config("facemap")
    assert values["edges"]["gap_z"] == 3.0


@pytest.mark.parametrize("key", RETIRED)
def test_another_value_than_the_constant_is_refused(key: str) -> None:
    section, name = key.split(".")
    with pytest.raises(ConfigError) as caught:
        stored_config({section: {name: 0.25}}, "card.json")
    assert str(caught.value) == (
        f"card.json sets '{key}' to 0.25, but this version computes with {RETIRED[key]!r} only; use the version that "
        "wrote it."
    )


def test_the_retired_values_are_the_constants_of_the_kernels() -> None:
    constants = {"density.tolerance": TOLERANCE, "edges.epsilon": EPSILON, "edges.gap_window": GAP_WINDOW}
    constants["edges.gap_z"] = GAP_Z
    assert constants.items() <= RETIRED.items()


def test_the_card_that_comes_with_the_package_holds_the_recipe_auto() -> None:
    card = resources.files("raycluster.models") / "pretrained" / "auto" / "card.json"
    config = stored_config(json.loads(card.read_text())["config"], "card.json")
    now = load_config("auto")
    assert replace(config, communities=now.communities) == now
    assert config.communities == replace(now.communities, fragments=False)


def test_an_unknown_key_and_a_section_that_is_no_mapping_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^card\.json sets 'knn\.kk', which is no key; did you mean 'knn\.k'\.$"):
        stored_config({"knn": {"kk": 3}}, "card.json")
    with pytest.raises(ConfigError, match=r"^card\.json sets 'edges' to 3"):
        stored_config({"edges": 3}, "card.json")


def test_nothing_stored_is_the_default() -> None:
    assert stored_config({}, "plan.json") == Config()
