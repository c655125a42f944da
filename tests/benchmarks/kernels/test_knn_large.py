"""Rows drawn again from a real set lie where its rows lie."""

import numpy as np

from benchmarks.kernels.knn_large import Args, resampled, vectors_of
from support.data import identities, unit_rows


def test_rows_drawn_again_are_unit_rows_near_the_real_ones() -> None:
    real, _ = identities(20, 15, width=24, spread=0.3)
    drawn = np.empty((500, 24), np.float32)
    resampled(real, 500, drawn)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-5)
    assert np.median((drawn @ real.T).max(axis=1)) > 0.8
    assert np.median((unit_rows(500, 24, 0) @ real.T).max(axis=1)) < 0.6
    assert len(np.unique(drawn, axis=0)) == 500


def test_generated_rows_fill_the_array_in_the_stored_precision() -> None:
    vectors = vectors_of(Args(rows=700, width=16))
    assert vectors.dtype == np.float16
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float32), axis=1), 1, atol=2e-3)
