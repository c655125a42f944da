"""Rules between settings of several stages.

Each is a function that returns a sentence where the rule is broken, else None.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raycluster.config.stages import Config

Rule = Callable[["Config"], str | None]


def topk_is_used(config: "Config") -> str | None:
    """Top-K only shortens the lists that NEP and learned scores read."""
    for name, is_set in (("source", config.topk.source is not None), ("predict", config.topk.predict)):
        if is_set and config.edges.rule != "early-stop" and config.relations.score == "none":
            return f"topk.{name} has no use without edges.rule early-stop or a learned score."
    return None


def recall_follows_a_walk(config: "Config") -> str | None:
    """Edge recall scores what the early-stop walk left out."""
    if config.relations.score == "recall" and config.edges.rule != "early-stop":
        return "relations.score recall needs edges.rule early-stop."
    return None


def rule_score_has_scores(config: "Config") -> str | None:
    """Rule score reads a score of every neighbor."""
    if config.edges.rule == "score" and config.relations.score != "all":
        return "edges.rule score needs relations.score all."
    return None


def threshold_is_used(config: "Config") -> str | None:
    """Rule score keeps edges by eta; a threshold of similarity would do nothing."""
    if config.edges.rule == "score" and config.edges.threshold is not None:
        return (
            f"edges.threshold has no use in the recipe {config.recipe}, whose edges are kept by a learned score; set "
            "edges.eta, or choose --recipe cosine."
        )
    return None


def scores_are_used(config: "Config") -> str | None:
    """Two rules read scores of all neighbors."""
    if config.relations.score == "all" and config.edges.rule not in ("score", "density-peaks"):
        return "relations.score all needs edges.rule score or density-peaks."
    return None


def contexts_are_used(config: "Config") -> str | None:
    """Contexts are read by predictors that score all neighbors."""
    if config.contexts.encode and config.relations.score != "all":
        return "contexts.encode has no use without relations.score all."
    return None


def fragments_can_be_scored(config: "Config") -> str | None:
    """Re-joining scores samples of rows anew, without what only whole sets have."""
    is_whole_set = config.topk.predict or config.topk.source or config.contexts.encode
    if config.communities.fragments and (is_whole_set or config.relations.score == "recall"):
        return (
            f"communities.fragments is not for the recipe {config.recipe}: it takes recipes without Top-K, contexts or "
            "recall."
        )
    return None


def trees_are_clusters(config: "Config") -> str | None:
    """The edges of density-peaks are the branches of trees, and a tree is a cluster."""
    if config.edges.rule == "density-peaks" and config.communities.engine != "components":
        return "edges.rule density-peaks needs communities.engine components: its trees are the clusters."
    return None


def density_reads_scores(config: "Config") -> str | None:
    """Scores that density leaves aside would be computed for nothing."""
    similarity, score = config.density.similarity, config.relations.score
    if config.edges.rule == "density-peaks" and score != "none" and similarity != "auto":
        return f"density.similarity {similarity} makes no use of the scores of relations.score {score}."
    return None


def density_stays_in_the_list(config: "Config") -> str | None:
    """Density is spread over ranks that exist."""
    nearest = config.density.nearest
    if config.edges.rule == "density-peaks" and nearest is not None and nearest > config.knn.k:
        return f"density.nearest is {nearest}: a list has only knn.k {config.knn.k} ranks."
    return None


def connectivity_has_scores(config: "Config") -> str | None:
    """Connectivity is a product with a learned score of every neighbor."""
    for name in ("density.kind", "edges.distance"):
        value = config.density.kind if name == "density.kind" else config.edges.distance
        if config.edges.rule == "density-peaks" and value == "connectivity" and config.relations.score != "all":
            return f"{name} connectivity needs relations.score all."
    return None


RULES: tuple[Rule, ...] = (
    topk_is_used,
    recall_follows_a_walk,
    rule_score_has_scores,
    threshold_is_used,
    scores_are_used,
    contexts_are_used,
    fragments_can_be_scored,
    trees_are_clusters,
    density_reads_scores,
    density_stays_in_the_list,
    connectivity_has_scores,
)


def broken(config: "Config") -> Iterator[str]:
    """Yield the sentence of every rule that a configuration breaks."""
    for rule in RULES:
        if (sentence := rule(config)) is not None:
            yield sentence
