"""Statistics of neighbors against those of torch and of a gather by numpy."""

import numpy as np
import pytest
import torch

from raycluster.models.compiled import tokens
from raycluster.models.compiled.encoder import columns_for
from raycluster.models.compiled.tokens import describe, return_ranks
from raycluster.models.neighbor_profiles import NeighborProfiles
from raycluster.models.networks.relative import RelativePredictor, cosines, neighbor_statistics
from raycluster.models.relative_terms import BINS, BINS_PER_UNIT, FIRST, LEVELS, LOG_UNIT, STATISTICS
from raycluster.models.set_statistics import RANKS, SetStatistics, ranks_within, unshared
from support.scored import Rows


@pytest.mark.parametrize("offset", [0.0, 0.3])
@pytest.mark.parametrize("k", [3, 20, 60])
def test_statistics_and_bins_are_those_of_the_network(k, offset):
    rows, some = Rows(60, offset), np.arange(7, 31)
    rows.cut(k)
    statistics = SetStatistics.from_json(rows.facts["statistics"])
    assert (statistics.shared > 0) == (offset > 0)
    ids = rows.neighbor[some, :k]
    near = rows.vectors[ids.clip(min=0)]
    present = torch.from_numpy(ids >= 0)
    tensor = RelativePredictor.statistics_tensor([statistics], torch.device("cpu")).expand(len(some), -1)
    cosine = cosines(torch.from_numpy(near), tensor[:, 0, None, None])
    back, profile = NeighborProfiles(rows.neighbor, rows.similarity).gather(some, k)
    profile = unshared(torch.from_numpy(profile), tensor[:, 0, None, None])
    expected = neighbor_statistics(cosine, present, torch.from_numpy(back), profile, tensor)
    place = ((2 - 2 * cosine).clamp(min=0).sqrt() * BINS_PER_UNIT).int().clamp(max=BINS - 1)

    own_back = np.empty(ids.shape, np.int32)
    return_ranks(rows.neighbor, some, own_back)
    np.testing.assert_array_equal(own_back[ids >= 0], back[ids >= 0])
    by_column = np.empty((STATISTICS, columns_for(ids.size)), np.float32)
    bins = np.empty((len(some), k, k), np.uint8)
    describe(
        near, (ids >= 0).sum(axis=1), own_back, rows.similarity,
        np.array(ranks_within(rows.similarity, RANKS)), ids,
        np.array([statistics.shared, statistics.background, statistics.spread, statistics.threshold], np.float32),
        np.array(LEVELS, np.float32), FIRST,
        (np.log2(1 + np.arange(2 * k + 1)) / LOG_UNIT).astype(np.float32), np.array([BINS_PER_UNIT, BINS - 1], np.float32),
        by_column, bins,
    )  # fmt: skip
    found = by_column[:, : ids.size].T.reshape(*ids.shape, STATISTICS)
    np.testing.assert_allclose(found[ids >= 0], expected.numpy()[ids >= 0], rtol=1e-4, atol=1e-4)
    pairs = (ids >= 0)[:, :, None] & (ids >= 0)[:, None]
    off = np.abs(bins.astype(int) - place.numpy())[pairs]
    assert off.max() <= 1  # a distance beside a border
    assert (off > 0).mean() < 0.05
    np.testing.assert_array_equal(bins, bins.transpose(0, 2, 1))


@pytest.mark.parametrize("k", [1, 7, 80])
@pytest.mark.parametrize("width", [1, 5, 33])
def test_cosines_are_inner_products_and_symmetric(k, width):
    near = np.random.default_rng(k).standard_normal((k, width)).astype(np.float32)
    found = np.empty((96, 80), np.float32)
    tokens.cosines(near, found)
    np.testing.assert_allclose(found[:k, :k], near @ near.T, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found[:k, :k], found[:k, :k].T)
