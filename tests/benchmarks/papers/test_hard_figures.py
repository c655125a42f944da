"""Means of density and distance by fifth, against values by hand."""

import numpy as np

from benchmarks.papers.hard_figures import by_size, by_sparsity


def test_density_is_over_the_mean_of_all_rows() -> None:
    density = np.array([4, 2, 1, 1], np.float32)
    assert by_size({"a": density}, np.array([0, 0, 1, -1])) == [{"density": "a", "sz-1": 1.5, "sz-2": 0.5}]


def test_distances_are_those_of_pairs_of_a_kind() -> None:
    distance = np.array([[0, 0.25, 0.5], [0, 0.75, 1]], np.float32)
    same = np.array([[np.nan, 1, 0], [np.nan, 1, np.nan]], np.float32)
    one, two = by_sparsity({"d": distance}, same, np.array([0, 1]))
    assert (one["sp-1"], one["sp-2"]) == (0.25, 0.75)
    assert two["sp-1"] == 0.5
    assert np.isnan(two["sp-2"])
