"""Gathered neighborhoods against plain indexing."""

import numpy as np
import pytest
import torch

from raycluster.models.neighborhoods import Neighborhoods
from support.data import neighbor_table, unit_rows

ROWS, WIDTH, K = 75, 16, 12


@pytest.mark.parametrize("storage", [np.float32, np.float16])
@pytest.mark.filterwarnings("error")
def test_neighborhoods_are_gathered_from_read_only_tables(storage):
    neighbor, _ = neighbor_table(ROWS, K, 3, short=True)
    vectors = unit_rows(ROWS, WIDTH, 0).astype(storage)
    vectors.flags.writeable = False
    chosen = np.array([4, 0, 4, ROWS - 1])
    found, present = Neighborhoods(neighbor, vectors, torch.device("cpu")).gather(chosen)
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(present.numpy(), neighbor[chosen] >= 0)
    expected = vectors.astype(np.float32)[neighbor[chosen]]
    np.testing.assert_array_equal(found.numpy()[present.numpy()], expected[present.numpy()])
    assert torch.isfinite(found).all()


def test_only_the_nearest_are_gathered_where_so_many_are_asked_for():
    neighbor, _ = neighbor_table(ROWS, K, 3, short=True)
    near = Neighborhoods(neighbor, unit_rows(ROWS, WIDTH, 0), torch.device("cpu"))
    (some, present), (whole, all_present) = near.gather(np.arange(9), 5), near.gather(np.arange(9))
    assert some.shape == (9, 5, WIDTH)
    assert torch.equal(some, whole[:, :5])
    assert torch.equal(present, all_present[:, :5])
