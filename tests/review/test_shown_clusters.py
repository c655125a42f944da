"""Clusters that a report shows."""

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest

from raycluster.review.opened_run import OpenedRun
from raycluster.review.shown_clusters import ROWS_SHOWN, SHOWN, drawn, largest, shown
from raycluster.stages.edges import edges_in_force
from raycluster.storage import node_cache


@pytest.fixture
def opened(cosine_run):
    run = OpenedRun.of(cosine_run)
    yield run
    node_cache.remove(run.tables.folder)


def test_the_largest_and_some_at_random():
    size = np.array([1, 5, 9, 9, 1, 2])
    assert largest(size).tolist() == [2, 3, 1, 5]
    assert drawn(size).tolist() == [1, 2, 3, 5]
    many = np.full(1000, 2)
    assert len(drawn(many)) == len(largest(many)) == SHOWN
    assert np.array_equal(drawn(many), drawn(many))
    assert len(largest(np.ones(5, int))) == len(drawn(np.ones(5, int))) == 0


def test_rows_are_the_strongest_and_the_weakest_of_their_cluster(opened):
    for one, number in zip(shown(opened, largest(opened.size)), largest(opened.size), strict=True):
        members = np.flatnonzero(opened.cluster == number)
        strength = dict(zip(opened.labels["id"].take(members).to_pylist(), opened.strength[members], strict=True))
        assert (one.cluster_id, one.size) == (int(opened.names[number]), len(members))
        assert one.mean_strength == pytest.approx(opened.strength[members].mean())
        rest = sorted(strength.values(), reverse=True)
        assert [strength[key] for key in one.strongest] == rest[:ROWS_SHOWN]
        assert not set(one.strongest) & set(one.weakest)
        assert [strength[key] for key in one.weakest] == sorted(rest[ROWS_SHOWN:])[:ROWS_SHOWN]


def test_the_bridge_is_the_heaviest_edge_of_a_cut_of_that_conductance(opened):
    edges, copies = edges_in_force(opened.tables), opened.tables.copies
    first = np.arange(len(opened.cluster)) if copies is None else copies.first  # edges are of distinct rows
    ids, cluster = opened.labels["id"].take(pa.array(first)).to_pylist(), opened.cluster[first]
    checked = 0
    for one, number in zip(shown(opened, largest(opened.size)), largest(opened.size), strict=True):
        if one.cut is None:
            continue
        graph = nx.Graph()
        inside = (cluster[edges["source"]] == number) & (cluster[edges["target"]] == number)
        for source, target, weight in zip(
            *(edges[name][inside] for name in ("source", "target", "weight")), strict=True
        ):
            before = graph.get_edge_data(ids[source], ids[target], {"weight": 0.0})["weight"]
            graph.add_edge(ids[source], ids[target], weight=before + float(weight))
        assert graph.has_edge(*one.bridge)
        best = min(nx.conductance(graph, [node], weight="weight") for node in graph)
        assert 0 < one.cut <= best + 0.5  # one of the cuts of the eigenvector, which no cut of one row is far below
        checked += 1
    assert checked > 5


def test_without_edges_there_is_no_cut(opened):
    cleaned = OpenedRun(opened.results, None, "gone")
    assert {(one.cut, one.bridge) for one in shown(cleaned, largest(cleaned.size))} == {(None, ())}
