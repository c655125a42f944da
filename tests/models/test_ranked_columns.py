"""A table of which some columns are there reads like the whole table."""

import numpy as np
import pytest

from raycluster.models.neighbor_profiles import NeighborProfiles
from raycluster.models.ranked_columns import RankedColumns
from raycluster.models.set_statistics import SetStatistics, lengths, ranks_read, ranks_within

K = 60


@pytest.fixture
def similarity() -> np.ndarray:
    return -np.sort(-np.random.default_rng(0).random((50, K), np.float32), axis=1)


def test_elements_are_those_of_the_whole_table(similarity: np.ndarray) -> None:
    ranks = ranks_read(K)
    some = RankedColumns(similarity[:, ranks], ranks, K)
    assert some.shape == similarity.shape
    assert len(some) == 50
    rows = np.array([3, 7, 7])
    assert np.array_equal(some[rows, 20], similarity[rows, 20])
    assert np.array_equal(some[:, 39], similarity[:, 39])
    assert np.array_equal(some[rows[:, None], [1, 39]], similarity[rows[:, None], [1, 39]])
    assert np.array_equal(some[rows, :45][:, 20], similarity[rows, :45][:, 20])
    assert some[rows, :45].shape == (3, 45)
    with pytest.raises(KeyError):
        some[rows, 4]


@pytest.mark.parametrize("k", [2, 15, 30, 60, 80, 100])
def test_a_network_reads_no_other_rank(k: int) -> None:
    rng = np.random.default_rng(k)
    similarity = -np.sort(-rng.random((40, k), np.float32), axis=1)
    neighbor = rng.integers(0, 40, (40, k)).astype(np.int32)
    some = RankedColumns(similarity[:, ranks_read(k)], ranks_read(k), k)
    statistics = SetStatistics(shared=0.0, background=0.1, spread=0.1, threshold=0.6, setting=())
    scored, rows = min(80, k), np.arange(40)
    assert np.array_equal(lengths(some[rows, :scored], statistics), lengths(similarity[rows, :scored], statistics))
    whole, thin = (NeighborProfiles(neighbor, table).gather(rows, scored) for table in (similarity, some))
    assert ranks_within(some, (1, 39)) == ranks_within(similarity, (1, 39))
    for one, other in zip(whole, thin, strict=True):
        assert np.array_equal(one, other)
