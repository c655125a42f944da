"""How good a partition is, for tests that compare thresholds."""

from typing import Any

import numpy as np

from raycluster.arrays import Float32, Int32
from raycluster.config.load import load_config
from raycluster.evaluation import metrics
from raycluster.kernels.edge_rules import threshold_edges
from raycluster.stages import engines


def bcubed_f(truth: Any, neighbor: Int32, similarity: Float32, threshold: float) -> float:
    """BCubed F of `cosine` at a threshold, by the solver that is quick on many edges."""
    edges = threshold_edges(0, len(neighbor), neighbor, similarity, threshold)
    graph = {name: edges[name] for name in ("source", "target", "weight")}
    config = load_config("cosine", {"communities": {"engine": "native"}}).communities
    cluster = engines.partition(**graph, rows=len(neighbor), config=config, directed=False).communities
    return float(metrics.bcubed(metrics.Contingency.of(truth, cluster)).f)


def same_partition(one: Any, other: Any) -> bool:
    """Whether two labelings of the same rows put the same rows together."""
    pairs = len(set(zip(np.asarray(one).tolist(), np.asarray(other).tolist(), strict=True)))
    return pairs == len(set(np.asarray(one).tolist())) == len(set(np.asarray(other).tolist()))
