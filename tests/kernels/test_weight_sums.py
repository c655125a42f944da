"""Weights inside clusters and beyond them are those that numpy counts, to the bit."""

from typing import Any

import numpy as np
import pytest

from raycluster.kernels.weight_sums import runner_ups, weight_sums


def graph(edges: int) -> tuple[Any, Any, Any, Any]:
    """Random edges among 300 rows in 40 clusters, a sixth of them of negative weight."""
    rng, rows = np.random.default_rng(edges), 300
    cluster = rng.integers(0, 40, rows).astype(np.int32)
    source, target = rng.integers(0, rows, (2, edges)).astype(np.int32)
    return cluster, source, target, rng.normal(1, 1, edges).astype(np.float32)


@pytest.mark.parametrize("edges", [0, 1, 5000])
def test_weights_add_up_as_in_numpy(edges: int) -> None:
    cluster, source, target, weight = graph(edges)
    rows = len(cluster)
    inner, outer, is_outer = weight_sums(cluster, source, target, weight)
    assert np.array_equal(is_outer, cluster[source] != cluster[target])
    wide = np.maximum(weight, 0).astype(np.float64)
    for found, chosen in ((inner, ~is_outer), (outer, is_outer)):
        expected = np.bincount(source[chosen], wide[chosen], rows) + np.bincount(target[chosen], wide[chosen], rows)
        assert np.array_equal(found, expected)


def test_an_edge_counts_at_both_ends_and_a_negative_weight_as_none() -> None:
    cluster, source, target = (np.array(values, np.int32) for values in ([0, 0, 1], [0, 1, 0], [1, 2, 2]))
    inner, outer, is_outer = weight_sums(cluster, source, target, np.array([0.5, 2.0, -1.0], np.float32))
    assert inner.tolist() == [0.5, 0.5, 0.0]
    assert outer.tolist() == [0.0, 2.0, 2.0]
    assert is_outer.tolist() == [False, True, True]


@pytest.mark.parametrize("edges", [0, 1, 300, 5000])
def test_the_runner_up_has_most_weight_beyond_the_cluster(edges: int) -> None:
    cluster, source, target, weight = graph(edges)
    to_cluster = np.zeros((len(cluster), 40))
    for here, there in ((source, target), (target, source)):
        np.add.at(to_cluster, (here, cluster[there]), np.maximum(weight, 0))
    to_cluster[np.arange(len(cluster)), cluster] = 0
    runner_up, best = runner_ups(cluster, source, target, weight, cluster[source] != cluster[target])
    assert np.array_equal(best, to_cluster.max(axis=1))
    assert np.array_equal(runner_up, np.where(best > 0, to_cluster.argmax(axis=1), -1))
