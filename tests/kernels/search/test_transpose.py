"""Tiles of every size turn as numpy turns them."""

import numpy as np
import pytest

from raycluster.kernels.search.transpose import transpose


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 8), (16, 24), (7, 9), (64, 3), (33, 40), (512, 512)])
def test_a_tile_turns_whatever_its_size(height, width):
    rows = np.random.default_rng(0).random((height, width), np.float32)
    target = np.full((width, height), np.nan, np.float32)
    transpose(rows, target)
    np.testing.assert_array_equal(target, rows.T)
