"""Every baseline finds separate identities, and agrees with another implementation where there is one."""

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.metrics import adjusted_rand_score

from benchmarks.measuring.isolation import call
from benchmarks.systems.comparison import baselines
from raycluster.errors import ResourceError
from support.baselines import PEOPLE, PICTURES, best_score, partition, prepared

NESTED = ("EVoC",)
"""Baselines whose parallel loops nest: they crash in the pool of threads that raycluster chooses for numba."""


@pytest.mark.parametrize("name", [name for name in baselines.BASELINES if name not in NESTED])
def test_its_best_setting_finds_separate_identities_and_every_setting_labels_every_row(name: str) -> None:
    assert best_score(name) > 0.9


@pytest.mark.process
@pytest.mark.parametrize("name", NESTED)
def test_those_with_nested_loops_do_so_in_a_process_of_their_own(name: str) -> None:
    assert call(best_score, name) > 0.9


def test_k_means_reaches_the_inertia_of_scikit_learn() -> None:
    data, _ = prepared(spread=1.0)

    def inertia(labels: Any) -> float:
        groups = [data.vectors[labels == each] for each in np.unique(labels)]
        return float(sum(((group - group.mean(axis=0)) ** 2).sum() for group in groups))

    found = baselines.k_means(data, 1.0)
    expected = KMeans(PEOPLE, n_init=1, random_state=0).fit(data.vectors).inertia_
    assert len(np.unique(found)) == PEOPLE
    assert inertia(found) < 1.1 * expected
    assert len(np.unique(baselines.k_means(data, 0.2))) == PEOPLE // 5


@pytest.mark.parametrize("linkage", ["average", "single"])
def test_the_cut_tree_is_that_of_scikit_learn(linkage: Any) -> None:
    data, _ = prepared(spread=1.0)
    found = baselines.hierarchical(data, linkage, 0.45)
    model = AgglomerativeClustering(None, metric="cosine", linkage=linkage, distance_threshold=0.45)
    np.testing.assert_array_equal(partition(found), partition(model.fit_predict(data.vectors)))


def test_dbscan_on_full_lists_is_that_of_all_distances() -> None:
    data, _ = prepared(spread=1.0, k=PEOPLE * PICTURES - 1)
    found = baselines.dbscan(data, 0.35, 4)
    model = DBSCAN(eps=0.35, min_samples=4, metric="cosine").fit(data.vectors)
    expected = baselines.alone(model.labels_)
    assert 3 < len(np.unique(expected)) < len(expected) - 20
    core = model.core_sample_indices_
    np.testing.assert_array_equal(partition(found[core]), partition(expected[core]))
    assert adjusted_rand_score(expected, found) > 0.95, "a row between two clusters may go to either"


def test_modularity_is_that_of_networkx_at_least() -> None:
    import networkx as nx

    data, _ = prepared(spread=1.2)
    graph, weights = baselines.cosine_graph(data, 0.3)
    plain = nx.Graph()
    plain.add_nodes_from(range(data.rows))
    plain.add_weighted_edges_from((*edge.tuple, weight) for edge, weight in zip(graph.es, weights, strict=True))
    expected = nx.community.modularity(plain, nx.community.louvain_communities(plain, seed=0))
    for method in (baselines.louvain, baselines.leiden):
        labels = method(data, 0.3)
        found = nx.community.modularity(plain, [set(np.flatnonzero(labels == each)) for each in np.unique(labels)])
        assert found > expected - 0.01


def test_the_graph_of_lists_is_symmetric_positive_and_without_the_row_itself() -> None:
    data, _ = prepared(spread=2.0)
    graph = baselines.neighbor_graph(data).toarray()
    np.testing.assert_array_equal(graph, graph.T)
    assert (graph >= 0).all()
    assert (graph.diagonal() == 0).all()
    listed = {(row, int(at)) for row, ids in enumerate(data.neighbor) for at in ids[1:]}
    cosine = data.vectors.astype(np.float64) @ data.vectors.T
    for row, at in zip(*np.nonzero(graph), strict=True):
        assert (row, at) in listed or (at, row) in listed
        assert graph[row, at] == pytest.approx(cosine[row, at], abs=1e-6)
    assert (baselines.neighbor_graph(data, 5) > 0).sum() < (graph > 0).sum()


@pytest.mark.parametrize(("name", "what"), [("HAC", "all pairs"), ("FINCH", "all pairs"), ("spectral", "eigenvectors")])
def test_what_needs_more_memory_than_there_is_says_so_before_it_starts(name: str, what: str) -> None:
    data, _ = prepared(gib=1e-5)
    method = baselines.BASELINES[name]
    with pytest.raises(ResourceError, match=rf"{what} of 180 rows: .* GiB, more than 1e-05 GiB"):
        method.labels(data, **method.published)


def test_noise_becomes_singletons() -> None:
    assert baselines.alone([0, -1, 1, -1, 1]).tolist() == [0, 2, 1, 3, 1]
    assert baselines.alone([-1, -1]).tolist() == [0, 1]


def test_a_grid_holds_every_combination() -> None:
    assert baselines.grid(a=(1, 2), b=("x",)) == ({"a": 1, "b": "x"}, {"a": 2, "b": "x"})
