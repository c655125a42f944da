"""The state of a finished run."""

import numpy as np
import pytest

from raycluster.config.load import load_config
from raycluster.identities.inheritance import NO_ID
from raycluster.identities.state import Edges, from_tables, undirected_edges, why_not_local
from raycluster.kernels.map_equation.local_terms import frozen_mu
from raycluster.stages.communities import identities_of
from raycluster.stages.edges import edges_in_force
from support.living import base, rows, tables_of


def test_clusters_keep_their_numbers_and_rows_alone_have_none():
    tables = tables_of(rows()[0])
    state, cluster = from_tables(tables), identities_of(tables)
    size = np.bincount(cluster)[cluster]
    np.testing.assert_array_equal(state.row_id, np.where(size > 1, cluster, NO_ID))
    assert state.next_id == cluster.max() + 1
    np.testing.assert_array_equal(state.piece, cluster)
    np.testing.assert_array_equal(state.whole, np.arange(state.next_id))
    assert state.is_alive.all()


def test_edges_and_exits_are_those_of_the_run():
    tables = tables_of(rows()[0])
    state, graph = from_tables(tables), edges_in_force(tables)
    assert len(state.edges.source) == len(graph["source"])
    assert (state.edges.source < state.edges.target).all()
    assert (np.diff(state.edges.key()) > 0).all()
    crossing = state.piece[graph["source"]] != state.piece[graph["target"]]
    assert state.base.exits == pytest.approx(2 * graph["weight"][crossing].sum(), rel=1e-6)
    assert state.base.mu == frozen_mu(np.array([state.base.exits]))


def test_inverted_lists_come_along():
    state = from_tables(tables_of(rows()[0], knn={"k": 12, "index": "ivf", "lists": 5, "probes": 3}))
    assert state.reading is not None
    assert state.reading.centroids.shape == (5, 32)
    assert state.reading.lists.shape == (300,)
    assert base().reading is None


def test_edges_are_sorted_with_the_lower_row_first():
    edges = undirected_edges(
        np.array([5, 1, 3], np.int32), np.array([2, 4, 0], np.int32), np.array([1, 2, 3], np.float32)
    )
    assert [column.tolist() for column in edges.columns()] == [[0, 1, 2], [3, 4, 5], [3.0, 2.0, 1.0]]
    more = Edges(np.array([1], np.int32), np.array([2], np.int32), np.array([9], np.float32))
    assert edges.only(np.array([True, False, True])).with_others(more).source.tolist() == [0, 1, 2]
    assert edges.network(6).flow.tolist() == [3, 2, 1, 3, 2, 1]


def test_what_an_update_can_be_local_for():
    assert why_not_local(load_config("cosine", {}, "test")) is None
    assert why_not_local(load_config("auto", {"model": "unused"}, "test")) is None
    assert "rule gap" in str(why_not_local(load_config("facemap", {}, "test")))
    assert "imported" in str(why_not_local(load_config("cosine", {"knn": {"source": "elsewhere"}}, "test")))
