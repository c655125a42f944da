"""The configuration dataclasses: ranges, what excludes what, and what they say of themselves."""

import math
from dataclasses import replace
from typing import Any

import pytest

from raycluster.config.stages import (
    CommunitiesConfig,
    Config,
    ContextsConfig,
    DensityConfig,
    EdgesConfig,
    KnnConfig,
    RelationsConfig,
    TopkConfig,
)
from raycluster.errors import ConfigError

PEAKS = EdgesConfig(rule="density-peaks")
RULES = ("threshold", "score", "early-stop", "gap", "density-peaks")
COMPONENTS = CommunitiesConfig(engine="components")


def complaint(section: str, **values: Any) -> str:
    """What is said of values of a section, or of the whole configuration where `section` is empty."""
    with pytest.raises(ConfigError) as caught:
        replace(getattr(Config(), section) if section else Config(), **values)
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


@pytest.mark.parametrize("rule", ["threshold", "gap"])
def test_given_counts_need_a_rule_or_a_predictor_that_uses_them(rule: Any) -> None:
    given = TopkConfig(source="k.parquet")
    said = complaint("", edges=EdgesConfig(rule=rule), topk=given)
    assert said == "topk.source has no use without edges.rule early-stop or a learned score."
    Config(edges=EdgesConfig(rule="early-stop"), topk=given)
    Config(edges=EdgesConfig(rule="score"), relations=RelationsConfig(score="all"), topk=given)


@pytest.mark.parametrize("rule", ["threshold", "score", "gap"])
def test_edges_are_recalled_only_after_a_walk(rule: Any) -> None:
    said = complaint("", edges=EdgesConfig(rule=rule), relations=RelationsConfig(score="recall"))
    assert said == "relations.score recall needs edges.rule early-stop."


def test_all_scores_and_the_rules_that_read_them_go_together() -> None:
    assert complaint("", edges=EdgesConfig(rule="score")) == "edges.rule score needs relations.score all."
    scored = {"relations": RelationsConfig(score="all"), "edges": EdgesConfig(rule="score", threshold=0.5)}
    assert complaint("", **scored).startswith(
        "edges.threshold has no use in the recipe auto, whose edges are kept by a"
    )
    for rule in ("threshold", "early-stop", "gap"):
        config: Any = EdgesConfig(rule=rule)  # type: ignore[arg-type]
        said = complaint("", edges=config, relations=RelationsConfig(score="all"))
        assert said == "relations.score all needs edges.rule score or density-peaks."
    Config(edges=PEAKS, relations=RelationsConfig(score="all"), communities=COMPONENTS)
    Config(edges=PEAKS, communities=COMPONENTS)


def test_the_trees_of_density_peaks_are_the_clusters() -> None:
    said = complaint("", edges=PEAKS)
    assert said == "edges.rule density-peaks needs communities.engine components: its trees are the clusters."


def test_a_density_of_something_else_than_the_scores_leaves_them_without_use() -> None:
    scores = RelationsConfig(score="all")
    for similarity in ("cosine", "probability"):
        density: Any = DensityConfig(similarity=similarity)  # type: ignore[arg-type]
        said = complaint("", edges=PEAKS, communities=COMPONENTS, relations=scores, density=density)
        assert said == f"density.similarity {similarity} makes no use of the scores of relations.score all."
        Config(edges=PEAKS, communities=COMPONENTS, density=density)


def test_density_is_not_spread_beyond_the_list() -> None:
    known: dict[str, Any] = {"edges": PEAKS, "communities": COMPONENTS, "density": DensityConfig(nearest=20)}
    said = complaint("", **known, knn=KnnConfig(k=10))
    assert said == "density.nearest is 20: a list has only knn.k 10 ranks."
    Config(**known, knn=KnnConfig(k=20))


def test_contexts_are_for_scores_of_all_neighbors() -> None:
    given = ContextsConfig(encode=True)
    expected = "contexts.encode has no use without relations.score all."
    assert complaint("", contexts=given) == expected
    walk = EdgesConfig(rule="early-stop")
    assert complaint("", edges=walk, relations=RelationsConfig(score="recall"), contexts=given) == expected
    Config(edges=EdgesConfig(rule="score"), relations=RelationsConfig(score="all"), contexts=given)


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
