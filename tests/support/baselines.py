"""A small set of separate identities on which every baseline of the benchmarks is tried."""

from typing import Any

import numpy as np

from benchmarks.systems.comparison import baselines
from benchmarks.systems.comparison.prepared import Prepared
from raycluster.evaluation import metrics
from raycluster.kernels.search.self_join import self_top_k
from support.data import identities

PEOPLE, PICTURES = 15, 12


def prepared(spread: float = 0.15, k: int = 20, gib: float = 4.0) -> tuple[Prepared, Any]:
    """Return 15 identities of 12 rows, with their neighbors, and the labels. A larger `spread` makes them overlap."""
    vectors, truth = identities(PEOPLE, PICTURES, spread=spread)
    return Prepared(vectors, *self_top_k(vectors, k), PEOPLE, gib), truth


def partition(labels: Any) -> Any:
    """Which pairs of rows (N, N) are together."""
    return labels[:, None] == labels


def best_score(name: str) -> float:
    """Return the best BCubed F of a baseline's settings; every setting must label every row and repeat itself."""
    data, truth = prepared()
    method = baselines.BASELINES[name]
    scores = []
    for settings in (method.published, *method.sweep[:: max(1, len(method.sweep) // 4)], method.sweep[-1]):
        labels = method.labels(data, **settings)
        assert labels.dtype == np.int64
        assert labels.shape == truth.shape
        assert labels.min() >= 0, "noise is a cluster of its own"
        np.testing.assert_array_equal(partition(labels), partition(method.labels(data, **settings)), "repeatable")
        scores.append(metrics.evaluate(truth, labels)["bcubed"]["f"])
    return float(max(scores))
