"""The numbering of distinct rows, against numpy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raycluster.kernels.duplicates import originals
from raycluster.storage.copies import Copies


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 6))
def test_distinct_rows_stand_for_all(picks: list[int], shards: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)[np.array(picks)]
    original = originals(vectors)
    copy = np.flatnonzero(original != np.arange(len(picks)))
    copies = Copies.of(len(picks), copy, original[copy])
    np.testing.assert_array_equal(copies.for_all(vectors[copies.first]), vectors)
    assert len(copies.first) == len(set(picks))
    assert copies.weights.sum() == len(picks)
    bounds = copies.bounds([*range(0, len(picks), shards), len(picks)])
    assert (bounds[0], bounds[-1]) == (0, len(copies.first))
    assert (np.diff(bounds) > 0).all()
