"""Scores of rows whose lists changed; all others keep theirs.

Facts of the set and limits are those of the last full run.
"""

from typing import Any

import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Vectors
from raycluster.config.stages import Config
from raycluster.limits.in_force import EdgeLimits
from raycluster.models.set_statistics import SetStatistics


def rescored(
    config: Config,
    set_facts: dict[str, Any],
    vectors: Vectors,
    neighbor: Int32,
    similarity: Float32,
    score: Float32,
    is_changed: Bool,
    threads: int,
) -> Float32:
    """Return the scores (N, K) of all rows.

    Parameters
    ----------
    config : Config
        Names the model.
    set_facts : dict
        What the predictor read of the whole set.
    vectors, neighbor, similarity
        (N, D) and (N, K) of all rows.
    score : (M, K) float32
        Scores before, of the first M rows.
    is_changed : (N,) bool
        Rows to be scored; rows beyond M must be among them.
    threads : int
        Blocks computed at once.
    """
    from raycluster.models.card import load_card
    from raycluster.models.row_scorer import calibrated
    from raycluster.models.scored_set import ScoredSet
    from raycluster.models.scoring import open_scorer
    from raycluster.models.second_opinion import pooled

    result = np.full(neighbor.shape, np.nan, np.float32)
    result[: len(score)] = score
    rows = np.flatnonzero(is_changed)
    result[rows] = np.nan
    rows = rows[neighbor[rows, 0] >= 0]
    if len(rows) == 0:
        return result
    card, _ = load_card(str(config.model))
    scored_set = ScoredSet(neighbor, similarity, vectors, set_facts)
    predictor = open_scorer(str(config.model), card, scored_set, threads=threads)
    form = predictor.form
    assert hasattr(form, "scored"), "recipes that score chosen pairs are updated in full"

    def fill(first: int, last: int) -> None:
        some = rows[first:last]
        logits = np.full((len(some), neighbor.shape[1]), np.nan, np.float32)
        logits[:, : form.scored] = form.logits(some)
        logits[neighbor[some] < 0] = np.nan
        logits[:, 0] = np.nan
        result[some] = pooled(card, calibrated(card, logits), similarity[some], set_facts)

    firsts = list(range(0, len(rows), form.block))
    predictor.runner.run(fill, firsts, [*firsts[1:], len(rows)])
    return result


def floor_of(set_facts: dict[str, Any], limits: EdgeLimits) -> float:
    """Return the similarity below which a neighbor cannot become an edge.

    Parameters
    ----------
    set_facts : dict
        What the predictor read of the whole set.
    limits : EdgeLimits
        Limits in force.
    """
    if limits.threshold is not None:
        return limits.threshold
    lowest = -1.0 if limits.similarity is None else limits.similarity
    if "statistics" in set_facts:
        lowest = max(lowest, SetStatistics.from_json(set_facts["statistics"]).stranger)
    return lowest
