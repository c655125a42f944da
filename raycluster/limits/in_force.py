"""The limits that decide which neighbor pairs are edges, and the edges that pass.

    rule            an edge passes when                               limits that are not configured
    threshold:      similarity >= threshold;                          picked from the far ranks, else from a few scores.
    score:          score >= eta,                                     the set's valley, else `without_valley`;
                    or similarity >= threshold                        where scores contradict a clear threshold.
    early-stop:     every NEP of its walk so far >= theta,
                    or a recalled edge has a score >= eta;            the model's.
    density-peaks:  1 - distance > closeness;                         the model's.
    gap:            always.

Edges are stored down to `edges.reserve` below the swept one of these limits. So a finished run can be read at several.

Shapes: N rows, K neighbors per row with the row itself at rank 0, D dimensions, E edges.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from raycluster.arrays import Bool, Float32, Float64, Int32, Ints, Vectors
from raycluster.config.stages import Config, EdgesConfig
from raycluster.kernels.edge_rules import MOST_ODDS, Columns
from raycluster.limits.agreed import Sample, agreed
from raycluster.limits.cohesion import Lists
from raycluster.limits.configured import configured_or_calibrated
from raycluster.limits.far_ranks import above_all_neighbors, pick_threshold
from raycluster.limits.random_pairs import above_all_pairs, sample_pairs
from raycluster.limits.scored_set import ScoredSet
from raycluster.limits.without_valley import (
    FULL_ETA,
    Picked,
    eta_among_strangers,
    floor_of,
    least_odds_of_full,
)

SWEEP_ORDER = ("eta", "threshold", "closeness", "theta")
"""The limits that decide whether a stored edge counts. The first that a run has is the swept one."""
NO_LIMIT = -1.0
"""The swept value of rule `gap`, which has no limit. No similarity, score or NEP is lower."""
ODDS_OVER_VALLEY = 10.0
"""Cap on the odds of an edge, in multiples of the odds at the set's own valley, where both outcomes are equally likely.
Raising it splits identities with several modes at their doubtful edges: on generated topics BCubed F is 93 at 10 and 88 at 20.
Lowering it lets many doubtful edges outweigh few certain ones: 6 costs up to 8 points of precision. Faces move by 0.2 at most."""


@dataclass(frozen=True)
class EdgeLimits:
    """The limits of one run; a limit that the rule does not use is None."""

    threshold: float | None = None
    """Lowest similarity of an edge, -1..1."""
    closeness: float | None = None
    """Closeness, 1 - distance in 0..1, that an edge of density peaks must exceed."""
    theta: float | None = None
    """NEP, 0..1, below which a walk ends."""
    eta: float | None = None
    """Lowest learned score of an edge, 0..1."""
    valley: bool | None = None
    """Whether eta is the valley of the set's own scores. None: no valley was sought."""
    similarity: float | None = None
    """Lowest similarity of an edge that passes the other limits, for sets without a valley and for small ones."""
    is_full: bool | None = None
    """Whether identities fill the neighbor lists, which have a limit of their own (`without_valley`)."""
    most_odds: float | None = None
    """The odds that no edge of full lists exceeds."""
    picked: bool | None = None
    """Whether the threshold was picked from the data. None for rules without a threshold."""
    suggested: float | None = field(default=None, compare=False)
    """Threshold of similarity that the far ranks suggest where scores decide. The health check alone reads it."""
    facts: Mapping[str, float | str] = field(default_factory=dict, hash=False)
    """How a threshold was picked: basis, risk, random pairs, and the disagreement of scores that it overrules."""

    @property
    def swept_name(self) -> str | None:
        """Name of the limit that stored edges can be swept by; None for rule `gap`."""
        return next((name for name in SWEEP_ORDER if getattr(self, name) is not None), None)

    @property
    def swept_value(self) -> float:
        """Value of the swept limit; `NO_LIMIT` for rule `gap`."""
        return NO_LIMIT if self.swept_name is None else float(getattr(self, self.swept_name))

    @property
    def highest_odds(self) -> float:
        """The odds that no edge exceeds; relative to eta where it is the set's own."""
        if self.is_full:
            return least_odds_of_full() if self.most_odds is None else self.most_odds
        if not self.valley:
            return MOST_ODDS
        assert self.eta is not None, "a valley is a value of eta"
        return ODDS_OVER_VALLEY * self.eta / (1 - self.eta)

    def moved_to(self, value: float) -> "EdgeLimits":
        """Return these limits with the swept one at another value."""
        assert self.swept_name is not None, "rule gap has no limit to move"
        moved: dict[str, Any] = {self.swept_name: value}
        return replace(self, **moved)

    def to_json(self) -> dict[str, Any]:
        """Return the manifest's keys; a limit that the rule does not use has none."""
        return {name: getattr(self, name) for name in FIELDS if getattr(self, name) is not None} | dict(self.facts)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "EdgeLimits":
        """Return the limits that `to_json` wrote; every other key is a fact."""
        limits = {name: values[name] for name in FIELDS if name in values}
        return cls(**limits, facts={name: value for name, value in values.items() if name not in FIELDS})


FIELDS = (
    "threshold",
    "closeness",
    "theta",
    "eta",
    "valley",
    "similarity",
    "is_full",
    "most_odds",
    "picked",
    "suggested",
)
"""The fields of `EdgeLimits` that have a key of their own in JSON."""


def decide_limits(
    config: Config,
    neighbor: Int32,
    similarity: Float32,
    vectors: Vectors,
    calibrated: Mapping[str, float],
    score: Float32 | None = None,
    picked: Picked | None = None,
    sample: Sample | None = None,
) -> EdgeLimits:
    """Return the limits of a run: configured, or the model's, or read from the set.

    Parameters
    ----------
    config : Config
        Its `edges` and `relations.score` decide which limits there are.
    neighbor, similarity : int32 and float32 (N, K)
        The kNN table of all rows. Read only where a threshold is picked or a valley sought.
    vectors : float32 or float16 (N, D)
        Unit rows, read as rarely.
    calibrated : mapping of str to float
        The limits that the model was calibrated to; empty without a model.
    score : float32 (N, K), optional
        Learned scores in 0..1, NaN where there is none. Needed by `edges.valley` only.
    picked : Picked, optional
        The threshold of these neighbors where it was picked before; none picks it.
    sample : Sample, optional
        Scores of a few rows, which decide a threshold where similarities show none (`limits.agreed`).

    Returns
    -------
    EdgeLimits
        The limits of `edges.rule`.

    Raises
    ------
    ConfigError
        A limit is neither configured nor calibrated, or `knn.k` is too small to pick a threshold.
    """
    edges = config.edges
    if edges.rule == "threshold":
        return _threshold_limits(edges, similarity, Lists(neighbor, vectors), sample)
    if edges.rule == "density-peaks":
        return EdgeLimits(closeness=configured_or_calibrated("edges.closeness", edges.closeness, calibrated))
    theta = eta = None
    if edges.rule == "early-stop":
        theta = configured_or_calibrated("edges.theta", edges.theta, calibrated)
    if config.relations.score != "none":
        eta = configured_or_calibrated("edges.eta", edges.eta, calibrated)
    if eta is None or edges.eta is not None or not edges.valley:
        return EdgeLimits(theta=theta, eta=eta)
    assert score is not None, "a valley needs the scores of all neighbors"
    pairs = sample_pairs(vectors)
    picked = picked or pick_threshold(similarity, pairs, Lists(neighbor, vectors))
    scored = ScoredSet(neighbor, similarity, score, edges.combine, picked, pairs)
    return _limits_of_scores(scored, EdgeLimits(theta=theta, eta=eta, suggested=picked[0]), calibrated)


def _limits_of_scores(scored: ScoredSet, model: EdgeLimits, calibrated: Mapping[str, float]) -> EdgeLimits:
    """Return the limits of a set with scores: of six cases the first that fits.

    Parameters
    ----------
    scored : ScoredSet
        The neighbors of the set, with their scores.
    model : EdgeLimits
        The limits of the model.
    calibrated : mapping of str to float
        All that the model is calibrated to.
    """
    assert model.eta is not None, "scores have a limit"
    threshold, facts = scored.picked
    # 1. No two rows are related: no pair is an edge.
    if scored.has_only_strangers:
        return EdgeLimits(threshold=above_all_neighbors(scored.similarity), picked=True, facts=dict(facts))
    # 2. Scores contradict a clear threshold of similarity: similarity decides alone.
    valley = scored.valley(model.eta)
    if (disagreement := scored.contradiction(model.eta, valley)) is not None:
        return EdgeLimits(threshold=threshold, picked=True, facts={**facts, "disagreement": round(disagreement, 6)})
    # 3. Scores show a valley: it is the limit.
    if valley is not None:
        return replace(model, eta=valley, valley=True)
    # 4. Identities fill the lists, and the model's limit would part them: a low limit holds.
    if scored.is_full and scored.loses_pairs_at(model.eta):
        return replace(model, eta=FULL_ETA, valley=False, is_full=True, most_odds=scored.most_odds)
    # 5. Identities fill the lists, and the model's limit holds them together.
    if scored.is_full:
        return replace(model, valley=False)
    # 6. Strangers are listed. Where a background shows, edges must also reach a similarity.
    eta = eta_among_strangers(scored.picked, model.eta, calibrated)
    return replace(model, eta=eta, valley=False, similarity=floor_of(scored.picked))


def for_small_sets(limits: EdgeLimits, similarity: Float32, vectors: Vectors) -> EdgeLimits:
    """Return the limits with a lowest similarity for a small set.

    Where a list holds all other rows, they may all be strangers, or one identity. Then edges must also reach a similarity that
    no random pair should.

    Parameters
    ----------
    limits : EdgeLimits
        Those of `decide_limits`.
    similarity : float32 (N, K)
        Similarities of the neighbors.
    vectors : float32 or float16 (N, D)
        Unit rows.
    """
    rows, k = similarity.shape
    if k < rows - 1 or limits.threshold is not None or limits.similarity is not None:
        return limits
    return replace(limits, similarity=above_all_pairs(sample_pairs(vectors), rows))


def _threshold_limits(edges: EdgesConfig, similarity: Float32, lists: Lists, sample: Sample | None) -> EdgeLimits:
    """Return the configured threshold, else one picked from the data, with its facts."""
    if edges.threshold is not None:
        return EdgeLimits(threshold=edges.threshold, picked=False)
    threshold, facts = agreed(pick_threshold(similarity, sample_pairs(lists.vectors), lists), sample)
    return EdgeLimits(threshold=threshold, picked=True, facts=facts)


def passes_limits(edges: Columns, config: EdgesConfig, limits: EdgeLimits, at: float | None = None) -> Bool:
    """Return which stored edges count at a value of the swept limit.

    Parameters
    ----------
    edges : columns (E,)
        `weight`, `score`, `nep` and `source`, of which each rule reads its own. For `early-stop` without scores the
        edges must be in stored order, because a walk ends at its first edge below the limit.
    config : EdgesConfig
        Its rule built the edges.
    limits : EdgeLimits
        The limits of the run.
    at : float, optional
        The swept limit, no lower than the edges were stored with; none means its own value. Raising it keeps fewer.

    Returns
    -------
    bool (E,)
        Whether each edge counts.
    """
    # Columns are float32: the limit is rounded to float32 as well, or a value would fail its own limit.
    limit = np.float32(limits.swept_value if at is None else at)
    passes = _passes_swept(edges, config, limits, limit)
    is_built = limits.similarity is None or config.rule == "score"  # rule score has built its edges with that limit
    return passes if is_built else passes & (edges["similarity"] >= np.float32(limits.similarity))


def _passes_swept(edges: Columns, config: EdgesConfig, limits: EdgeLimits, limit: np.float32) -> Bool:
    """Return which stored edges pass the swept limit."""
    if limits.threshold is not None:
        return np.asarray(edges["weight"] >= limit)
    if config.rule == "density-peaks":
        return np.asarray(edges["weight"] > limit)
    if config.rule == "gap":
        return np.ones(len(edges["weight"]), bool)
    if limits.eta is not None:
        # Walked edges have no score; their walk was fixed by theta when they were built.
        return np.asarray(np.isnan(edges["score"]) | (edges["score"] >= limit))
    return _before_first_below(edges["source"], edges["nep"], float(limit))


def _before_first_below(row: Int32, nep: Float32 | Float64, limit: float) -> Bool:
    """Return which edges (E,), grouped by row, come before the row's first NEP below."""
    is_below = nep < np.float32(limit)
    num_below = np.cumsum(is_below)
    first = np.flatnonzero(np.diff(row, prepend=-1))
    size = np.diff(np.append(first, len(row)))
    num_below_earlier: Ints = np.repeat(num_below[first] - is_below[first], size)
    return np.asarray(num_below == num_below_earlier)
