"""A recipe's own limit against the best one of a sweep, on the labels of a set."""

from dataclasses import dataclass, replace

import numpy as np

from raycluster.arrays import Bool, Float64, Int32, Int64, Vectors
from raycluster.config.load import load_config
from raycluster.config.stages import Config
from raycluster.evaluation import metrics
from raycluster.evaluation.reliability import expected_calibration_error, reliability
from raycluster.executors.progress import Silence
from raycluster.models.requirements import with_model
from raycluster.pipeline import health
from raycluster.pipeline.run import LOCAL, in_memory, run_stages
from raycluster.pipeline.sweep import communities_at
from raycluster.stages.edges import limits_of
from raycluster.stages.labels import labels_of
from raycluster.storage.array_tables import ArrayTables

STORED = 0.95
"""Score or cosine below the limit down to which edges are kept, so that nearly all limits can be tried."""
SCORES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Limits of scores that are tried."""
QUANTILES = (0.02, 0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.88, 0.94, 0.98, 0.995)
"""Quantiles of the listed similarities that are tried as thresholds. The last is above most pairs of strangers."""


@dataclass(frozen=True)
class Swept:
    """What a run made of a set, and what other limits would have made of it."""

    limit: float
    pairwise_f: float
    bcubed_f: float
    precision: float
    """BCubed."""
    best_limit: float
    best_f: float
    """BCubed F at that limit; the limit in force is one of those tried."""
    calibration_error: float
    """Of strength, over rows that share a cluster."""
    is_low: bool
    """Whether the health check reports low confidence."""

    @property
    def share_of_best(self) -> float:
        """BCubed F as a share of that at the best limit."""
        return self.bcubed_f / max(self.best_f, 1e-9)


def swept(vectors: Vectors, truth: Int64, recipe: str, threads: int) -> Swept:
    """Return a recipe as it comes and at its best limit.

    Parameters
    ----------
    vectors : floating (N, D)
        Unit rows.
    truth : int64 (N,)
        Identities, 0..
    recipe : str
        `auto` or `cosine`.
    threads : int
        From 1 up.
    """
    config = with_model(load_config(recipe, {}, "X"))
    stored = replace(config, edges=replace(config.edges, reserve=STORED))
    tables = _run(vectors, stored, threads)
    own = limits_of(tables).swept_value
    labels = labels_of(tables)
    score = metrics.evaluate(truth, labels.cluster_id)
    tried = {limit: _bcubed(truth, communities_at(tables, limit)[0]) for limit in _limits(tables) if limit != own}
    tried[own] = float(score["bcubed"]["f"])
    best = max(tried, key=lambda limit: tried[limit])
    right, is_shared = metrics.majority(truth, labels.cluster_id)
    return Swept(
        limit=own,
        pairwise_f=float(score["pairwise"]["f"]),
        bcubed_f=tried[own],
        precision=float(score["bcubed"]["precision"]),
        best_limit=best,
        best_f=tried[best],
        calibration_error=calibration_error(labels.strength, right, is_shared),
        is_low=bool(health.reasons_of(health.measure(tables))),
    )


def _run(vectors: Vectors, config: Config, threads: int) -> ArrayTables:
    tables = in_memory(vectors, config, threads)
    run_stages(tables, LOCAL, Silence())
    return tables


def _limits(tables: ArrayTables) -> list[float]:
    """Return the limits that are tried: scores, or cosines between those of the lists."""
    limits = limits_of(tables)
    lowest = limits.swept_value - STORED
    if limits.threshold is None:
        return [limit for limit in SCORES if limit > lowest]
    listed = np.asarray(tables.column("knn", "similarity"))[:, 1:]
    return [float(limit) for limit in np.unique(np.quantile(listed, QUANTILES)) if limit > lowest]


def _bcubed(truth: Int64, cluster: Int32) -> float:
    return float(metrics.bcubed(metrics.Contingency.of(truth, cluster)).f)


def calibration_error(strength: Float64, right: Float64, is_shared: Bool) -> float:
    """Return the calibration error of strength; 0 where no row shares a cluster."""
    if not is_shared.any():
        return 0.0
    return float(expected_calibration_error(reliability(strength[is_shared], right[is_shared])))
