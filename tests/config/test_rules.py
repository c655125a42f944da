"""Rules between settings of several stages: every rule refuses what breaks it, and nothing else."""

from typing import Any

import pytest

from raycluster.config import rules
from raycluster.config.load import load_config, recipe_names
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
COMPONENTS = CommunitiesConfig(engine="components")


def complaint(**sections: Any) -> str:
    """The sentence that refuses a configuration."""
    with pytest.raises(ConfigError) as caught:
        Config(**sections)
    return str(caught.value)


@pytest.mark.parametrize("rule", ["threshold", "gap"])
def test_given_counts_need_a_rule_or_a_predictor_that_uses_them(rule: Any) -> None:
    given = TopkConfig(source="k.parquet")
    said = complaint(edges=EdgesConfig(rule=rule), topk=given)
    assert said == "topk.source has no use without edges.rule early-stop or a learned score."
    Config(edges=EdgesConfig(rule="early-stop"), topk=given)
    Config(edges=EdgesConfig(rule="score"), relations=RelationsConfig(score="all"), topk=given)


@pytest.mark.parametrize("rule", ["threshold", "score", "gap"])
def test_edges_are_recalled_only_after_a_walk(rule: Any) -> None:
    said = complaint(edges=EdgesConfig(rule=rule), relations=RelationsConfig(score="recall"))
    assert said == "relations.score recall needs edges.rule early-stop."


def test_all_scores_and_the_rules_that_read_them_go_together() -> None:
    assert complaint(edges=EdgesConfig(rule="score")) == "edges.rule score needs relations.score all."
    scored = {"relations": RelationsConfig(score="all"), "edges": EdgesConfig(rule="score", threshold=0.5)}
    assert complaint(**scored).startswith("edges.threshold has no use in the recipe auto, whose edges are kept by a")
    for rule in ("threshold", "early-stop", "gap"):
        config: Any = EdgesConfig(rule=rule)  # type: ignore[arg-type]
        said = complaint(edges=config, relations=RelationsConfig(score="all"))
        assert said == "relations.score all needs edges.rule score or density-peaks."
    Config(edges=PEAKS, relations=RelationsConfig(score="all"), communities=COMPONENTS)
    Config(edges=PEAKS, communities=COMPONENTS)


def test_the_trees_of_density_peaks_are_the_clusters() -> None:
    said = complaint(edges=PEAKS)
    assert said == "edges.rule density-peaks needs communities.engine components: its trees are the clusters."


def test_a_density_of_something_else_than_the_scores_leaves_them_without_use() -> None:
    scores = RelationsConfig(score="all")
    for similarity in ("cosine", "probability"):
        density: Any = DensityConfig(similarity=similarity)  # type: ignore[arg-type]
        said = complaint(edges=PEAKS, communities=COMPONENTS, relations=scores, density=density)
        assert said == f"density.similarity {similarity} makes no use of the scores of relations.score all."
        Config(edges=PEAKS, communities=COMPONENTS, density=density)


def test_density_is_not_spread_beyond_the_list() -> None:
    known: dict[str, Any] = {"edges": PEAKS, "communities": COMPONENTS, "density": DensityConfig(nearest=20)}
    said = complaint(**known, knn=KnnConfig(k=10))
    assert said == "density.nearest is 20: a list has only knn.k 10 ranks."
    Config(**known, knn=KnnConfig(k=20))


def test_contexts_are_for_scores_of_all_neighbors() -> None:
    given = ContextsConfig(encode=True)
    expected = "contexts.encode has no use without relations.score all."
    assert complaint(contexts=given) == expected
    walk = EdgesConfig(rule="early-stop")
    assert complaint(edges=walk, relations=RelationsConfig(score="recall"), contexts=given) == expected
    Config(edges=EdgesConfig(rule="score"), relations=RelationsConfig(score="all"), contexts=given)


@pytest.mark.parametrize(
    "sections",
    [
        {"topk": TopkConfig(predict=True), "edges": EdgesConfig(rule="early-stop")},
        {"topk": TopkConfig(source="k.parquet"), "edges": EdgesConfig(rule="early-stop")},
        {"relations": RelationsConfig(score="recall"), "edges": EdgesConfig(rule="early-stop")},
        {
            "relations": RelationsConfig(score="all"),
            "edges": EdgesConfig(rule="score"),
            "contexts": ContextsConfig(encode=True),
        },
    ],
)
def test_fragments_are_for_recipes_that_score_any_rows_at_all(sections: dict[str, Any]) -> None:
    Config(**sections)
    said = complaint(**sections, communities=CommunitiesConfig(fragments=True), recipe="mine")
    expected = "communities.fragments is not for the recipe mine: it takes recipes without Top-K, contexts or recall."
    assert said == expected


@pytest.mark.parametrize("name", recipe_names())
def test_no_recipe_breaks_a_rule(name: str) -> None:
    config = load_config(name)
    assert list(rules.broken(config)) == []
    assert [rule(config) for rule in rules.RULES] == [None] * len(rules.RULES)
