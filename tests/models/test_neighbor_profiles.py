"""Profiles of neighbors against a walk over the lists."""

import numpy as np
import pytest

from raycluster.models.neighbor_profiles import NeighborProfiles
from raycluster.models.set_statistics import RANKS
from support.data import neighbor_table

K = 48


@pytest.mark.parametrize("k", [K, 12])
def test_profiles_hold_the_rank_of_the_row_and_the_similarities_of_the_neighbors_own_list(k):
    neighbor, similarity = neighbor_table(90, K, 3, short=True)
    rows = np.array([0, 7, 41])
    return_rank, profile = NeighborProfiles(neighbor, similarity).gather(rows, k)
    assert return_rank.shape == (3, k)
    for at, row in enumerate(rows):
        for rank in range(k):
            other = neighbor[row, rank]
            if other < 0:
                continue
            listed = neighbor[other, :k].tolist()
            assert return_rank[at, rank] == (listed.index(row) if row in listed else 2 * k)
            np.testing.assert_array_equal(profile[at, rank], similarity[other, RANKS])
