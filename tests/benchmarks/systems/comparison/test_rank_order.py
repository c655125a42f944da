"""Approximate rank order against its definition in sets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.systems.comparison import rank_order
from raycluster.kernels.search.self_join import self_top_k
from support.data import identities, neighbor_table


def brute_force(neighbor: np.ndarray) -> dict[tuple[int, int], float]:
    """D of every pair of which one lists the other, by the formula."""
    lists = [row.tolist() for row in neighbor]
    k = neighbor.shape[1]

    def order(a: int, b: int) -> int:
        return lists[a].index(b) if b in lists[a] else k

    def missing(a: int, b: int) -> int:
        return sum(each not in lists[b] for each in lists[a][1 : order(a, b) + 1])

    pairs = {(min(a, b), max(a, b)) for a, listed in enumerate(lists) for b in listed[1:]}
    return {(a, b): (missing(a, b) + missing(b, a)) / min(order(a, b), order(b, a)) for a, b in pairs}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.integers(12, 60), k=st.integers(2, 10))
def test_distances_equal_brute_force(seed: int, rows: int, k: int) -> None:
    neighbor, _ = neighbor_table(rows, k, seed)
    source, target, distance = rank_order.pair_distances(neighbor, np.sort(neighbor, axis=1))
    found = {(min(a, b), max(a, b)): d for a, b, d in zip(source.tolist(), target.tolist(), distance, strict=True)}
    assert len(found) == len(source), "every pair once"
    assert found == pytest.approx(brute_force(neighbor))


def test_rows_are_joined_by_pairs_within_the_threshold() -> None:
    neighbor, _ = neighbor_table(60, 8, 0)
    for threshold in (0.0, 0.5, 1.5):
        label = rank_order.rank_order(neighbor, threshold)
        expected = np.arange(60)
        for (a, b), distance in brute_force(neighbor).items():
            if distance <= threshold:
                expected[expected == expected[a]] = expected[b]
        np.testing.assert_array_equal(label[:, None] == label, expected[:, None] == expected)


def test_separate_identities_of_the_size_of_a_list_are_found() -> None:
    vectors, truth = identities(12, 10, spread=0.1)
    neighbor, _ = self_top_k(vectors, 10)
    label = rank_order.rank_order(neighbor, 0.5)
    np.testing.assert_array_equal(label[:, None] == label, truth[:, None] == truth)
