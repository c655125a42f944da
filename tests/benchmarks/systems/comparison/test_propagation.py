"""CDP's propagation against the same by networkx."""

import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.systems.comparison.propagation import propagate
from support.data import neighbor_table


def by_networkx(neighbor: np.ndarray, similarity: np.ndarray, threshold: float, max_size: int) -> list[set[int]]:
    """Clusters of two rows or more."""
    graph = nx.Graph()
    for a, (listed, scores) in enumerate(zip(neighbor.tolist(), similarity, strict=True)):
        graph.add_weighted_edges_from(
            (a, b, float(score))
            for b, score in zip(listed, scores, strict=True)
            if b not in (a, -1) and score > threshold
        )
    limit = min((weight for *_, weight in graph.edges.data("weight")), default=1.0)
    final = []
    for turn in range(101):
        for component in list(nx.connected_components(graph)):
            if len(component) <= max_size or turn == 100:
                final.append(set(component))
                graph.remove_nodes_from(component)
        limit += (1 - limit) * 0.05
        below = [(a, b) for a, b, weight in graph.edges.data("weight") if np.float32(weight) < np.float32(limit)]
        graph.remove_edges_from(below)
    return [component for component in final if len(component) > 1]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), threshold=st.sampled_from([0.0, 0.3, 0.6, 0.9, 0.999]), max_size=st.integers(1, 40))
def test_clusters_equal_those_by_networkx(seed: int, threshold: float, max_size: int) -> None:
    neighbor, similarity = neighbor_table(80, 8, seed, short=seed % 2 == 0)
    label = propagate(neighbor, similarity, threshold, max_size)
    found = [set(np.flatnonzero(label == each).tolist()) for each in np.unique(label)]
    expected = by_networkx(neighbor, similarity, threshold, max_size)
    assert sorted(map(sorted, (each for each in found if len(each) > 1))) == sorted(map(sorted, expected))
    assert (label >= 0).all()


def test_copies_of_one_vector_stay_whole_however_many() -> None:
    rows = np.arange(6, dtype=np.int32)
    neighbor = np.array([[row, *np.delete(rows, row)] for row in rows], np.int32)
    label = propagate(neighbor, np.ones((6, 6), np.float32), 0.5, max_size=2)
    assert len(set(label.tolist())) == 1
