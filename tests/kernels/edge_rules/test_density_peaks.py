"""Every row and its closest denser neighbor, against a loop; the edges are trees."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.edge_rules import denser, density_peak_edges
from support.data import neighbor_table
from support.edge_tables import TABLES, as_columns, assert_equal_columns, pairs_of, shards_of, stacked


def tied(shape, seed):
    """Values in 0..1 of which many are equal."""
    return (np.random.default_rng(seed).integers(0, 9, shape) / 8).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(TABLES, st.floats(-0.1, 1))
def test_a_density_peak_edge_leads_to_the_closest_denser_neighbor_ties_to_the_lower_row(table, floor):
    neighbor, similarity = neighbor_table(*table)
    density, closeness = tied(len(neighbor), table[2]), tied(neighbor.shape, table[2] + 1)
    expected = []
    for i, line in enumerate(neighbor.tolist()):
        ranked = [
            (-closeness[i, rank], j, rank)
            for rank, j in enumerate(line)
            if j >= 0 and j != i and (density[j], -j) > (density[i], -i)
        ]
        if ranked and -min(ranked)[0] > np.float32(floor):
            far, j, rank = min(ranked)
            expected.append((i, j, -far, np.nan, np.nan, similarity[i, rank]))
    found = density_peak_edges(0, neighbor, similarity, denser(0, neighbor, density), closeness, floor)
    assert_equal_columns(found, as_columns(expected))


@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_density_peak_edges_are_trees_with_one_root_each(table):
    neighbor, similarity = neighbor_table(*table)
    density, closeness = tied(len(neighbor), table[2]), tied(neighbor.shape, table[2] + 1)
    found = density_peak_edges(0, neighbor, similarity, denser(0, neighbor, density), closeness, -1.0)
    assert len(set(found["source"].tolist())) == len(found["source"])
    parent = np.arange(len(neighbor))
    parent[found["source"]] = found["target"]
    for _ in range(len(neighbor)):
        parent = parent[parent]
    assert (parent[parent] == parent).all()
    components = len(neighbor) - len(found["source"])
    assert len(np.unique(parent)) == components


def test_of_equally_dense_rows_all_join_the_lowest_and_a_row_without_neighbors_is_a_root():
    neighbor = np.array([[0, 1, 2], [1, 2, 0], [2, 1, 0], [3, -1, -1]], np.int32)
    similarity = np.full(neighbor.shape, 0.5, np.float32)
    even = np.ones(4, np.float32)
    close = np.where(neighbor >= 0, 0.5, 0).astype(np.float32)
    found = density_peak_edges(0, neighbor, similarity, denser(0, neighbor, even), close, 0.3)
    assert pairs_of(found) == [(1, 0), (2, 0)]
    assert found["weight"].tolist() == [0.5, 0.5]


def test_an_edge_needs_more_than_the_limit():
    neighbor = np.array([[0, 1], [1, 0]], np.int32)
    close = np.array([[1, 0.5], [1, 0.5]], np.float32)
    uphill = denser(0, neighbor, np.array([1, 2], np.float32))
    assert pairs_of(density_peak_edges(0, neighbor, close, uphill, close, 0.49)) == [(0, 1)]
    assert pairs_of(density_peak_edges(0, neighbor, close, uphill, close, 0.5)) == []
    assert pairs_of(density_peak_edges(0, neighbor, close, uphill, np.zeros_like(close), 0.0)) == []


@settings(max_examples=25, deadline=None)
@given(TABLES, st.integers(0, 1000))
def test_density_peak_edges_of_row_shards_stack_to_the_whole(table, seed):
    neighbor, similarity = neighbor_table(*table)
    density, closeness = tied(len(neighbor), table[2]), tied(neighbor.shape, table[2] + 1)

    def of(start, stop):
        rows = slice(start, stop)
        uphill = denser(start, neighbor[rows], density)
        return density_peak_edges(start, neighbor[rows], similarity[rows], uphill, closeness[rows], 0.3)

    assert_equal_columns(stacked([of(*shard) for shard in shards_of(len(neighbor), seed)]), of(0, len(neighbor)))
