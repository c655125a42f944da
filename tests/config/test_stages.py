"""Settings of the stages: their ranges, and what follows from them."""

import math
from dataclasses import replace
from typing import Any

import pytest

from raycluster.config.stages import Config, EdgesConfig, RelationsConfig, TopkConfig
from raycluster.errors import ConfigError

RULES = ("threshold", "score", "early-stop", "gap", "density-peaks")


def complaint(section: str, **values: Any) -> str:
    """The sentence that refuses values of a section."""
    with pytest.raises(ConfigError) as caught:
        replace(getattr(Config(), section), **values)
    return str(caught.value)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("knn", "k", 1),
        ("knn", "probes", 0),
        ("knn", "recall", 0.0),
        ("knn", "recall", 1.0),
        ("knn", "recall", math.nan),
        ("knn", "lists", 0),
        ("knn", "seed", -1),
        ("edges", "threshold", 1.01),
        ("edges", "threshold", math.nan),
        ("edges", "theta", -0.1),
        ("edges", "theta", 1.1),
        ("edges", "eta", -0.1),
        ("edges", "eta", 1.1),
        ("edges", "eta", math.nan),
        ("edges", "tau", 0.0),
        ("edges", "tau", math.inf),
        ("edges", "delta", math.nan),
        ("edges", "closeness", -0.1),
        ("edges", "closeness", math.nan),
        ("edges", "sigma", 0.0),
        ("edges", "sigma", math.inf),
        ("density", "nearest", 1),
        ("density", "sigma", 0.0),
        ("density", "steps", 0),
        ("edges", "reserve", -0.1),
        ("edges", "reserve", math.inf),
        ("communities", "seed", 0),
        ("communities", "seed", 2**31),
        ("communities", "trials", 0),
        ("communities", "memory_gib", 0.0),
        ("labels", "min_cluster_size", 0),
        ("labels", "min_strength", 1.5),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(section: str, key: str, value: float) -> None:
    said = complaint(section, **{key: value})
    assert said.startswith(f"{section}.{key.replace('_', '-')} is {value}: it takes a ")
    assert said.endswith(".")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("knn", "k", 2),
        ("edges", "threshold", -1.0),
        ("edges", "threshold", None),
        ("edges", "theta", 0.0),
        ("edges", "theta", None),
        ("edges", "eta", 1.0),
        ("edges", "eta", None),
        ("edges", "reserve", 0.0),
        ("edges", "closeness", 0.0),
        ("edges", "closeness", None),
        ("edges", "sigma", 0.05),
        ("density", "nearest", 2),
        ("density", "sigma", None),
        ("density", "steps", 1),
        ("communities", "seed", 2**31 - 1),
        ("labels", "min_strength", 1.0),
    ],
)
def test_values_at_the_ends_of_their_ranges_are_accepted(section: str, key: str, value: float | None) -> None:
    assert getattr(replace(getattr(Config(), section), **{key: value}), key) == value


def test_counts_are_either_given_or_predicted() -> None:
    assert complaint("topk", source="k.parquet", predict=True) == "topk.source and topk.predict exclude each other."


def test_only_predictions_and_scores_need_a_model() -> None:
    walk = EdgesConfig(rule="early-stop")
    assert not Config().needs_model
    assert not Config(edges=walk, topk=TopkConfig(source="k.parquet"), model="given").needs_model
    assert Config(edges=walk, topk=TopkConfig(predict=True)).needs_model
    assert Config(edges=walk, relations=RelationsConfig(score="recall")).needs_model
    assert Config(edges=EdgesConfig(rule="score"), relations=RelationsConfig(score="all")).needs_model


def test_only_the_early_stop_walk_has_a_direction() -> None:
    directed = {rule: EdgesConfig(rule=rule).directed for rule in RULES}  # type: ignore[arg-type]
    assert directed == {rule: rule == "early-stop" for rule in RULES}
