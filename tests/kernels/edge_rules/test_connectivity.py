"""Connectivity against dense matrices, and the edges E_d and E_s of LCEPCE against a loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.edge_rules import connected_edges, connectivity, denser, least_connectivity
from support.data import neighbor_table
from support.edge_tables import TABLES, assert_equal_columns, pairs_of, random_scores, shards_of, stacked


def dense(neighbor, values):
    """Values (N, K) as a matrix (N, N), 0 where a row does not list the other."""
    whole = np.zeros((len(neighbor), len(neighbor)))
    row, rank = np.nonzero(neighbor >= 0)
    whole[row, neighbor[row, rank]] = np.nan_to_num(values)[row, rank]
    np.fill_diagonal(whole, 0)
    return whole


def of_all(neighbor, similarity, score):
    return connectivity(0, len(neighbor), neighbor, similarity, score)


@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_connectivity_is_cosine_times_the_mean_of_both_scores(table):
    neighbor, similarity = neighbor_table(*table)
    score = random_scores(neighbor, table[2], 0.2)
    scores = dense(neighbor, score)
    expected = dense(neighbor, similarity.clip(0)) * (scores + scores.T) / 2
    found = dense(neighbor, of_all(neighbor, similarity, score))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(TABLES, st.floats(-0.1, 0.6))
def test_edges_are_the_best_denser_neighbor_and_all_that_are_certain(table, floor):
    neighbor, similarity = neighbor_table(*table)
    connected = of_all(neighbor, similarity, random_scores(neighbor, table[2], 0.2))
    density, least = connected.sum(axis=1), 0.4
    expected = set()
    for i, line in enumerate(neighbor.tolist()):
        uphill = [r for r, j in enumerate(line) if j >= 0 and j != i and (density[j], -j) > (density[i], -i)]
        best = min(uphill, key=lambda r: (-connected[i, r], line[r]), default=None)
        kept = [r for r in uphill if r == best or connected[i, r] >= np.float32(least)]
        expected |= {(i, line[r]) for r in kept if connected[i, r] > np.float32(floor)}
    found = connected_edges(0, neighbor, similarity, denser(0, neighbor, density), connected, floor, least)
    assert set(pairs_of(found)) == expected
    assert len(pairs_of(found)) == len(expected)


@settings(max_examples=25, deadline=None)
@given(TABLES)
def test_shards_change_no_edge(table):
    neighbor, similarity = neighbor_table(*table)
    score = random_scores(neighbor, table[2], 0.2)
    density = of_all(neighbor, similarity, score).sum(axis=1)

    def edges(start, stop):
        connected = connectivity(start, stop, neighbor, similarity, score)
        uphill = denser(start, neighbor[start:stop], density)
        return connected_edges(start, neighbor[start:stop], similarity[start:stop], uphill, connected, 0.1, 0.4)

    shards = [edges(start, stop) for start, stop in shards_of(len(neighbor), table[2])]
    assert_equal_columns(stacked(shards), edges(0, len(neighbor)))


def test_a_pair_that_one_row_lists_has_half_of_its_score():
    neighbor = np.array([[0, 1], [1, 2], [2, 1]], np.int32)
    similarity = np.array([[1, 0.5], [1, 0.8], [1, 0.8]], np.float32)
    score = np.array([[np.nan, 1], [np.nan, 0.5], [np.nan, 1]], np.float32)
    assert of_all(neighbor, similarity, score)[:, 1].tolist() == pytest.approx([0.25, 0.6, 0.6])


def test_the_least_connectivity_is_the_mean_cosine_to_three_neighbors():
    similarity = np.array([[1, 0.9, 0.8, 0.7, 0.1], [1, 0.6, 0.5, 0.4, 0.3]], np.float32)
    assert least_connectivity(similarity) == pytest.approx(0.65)
