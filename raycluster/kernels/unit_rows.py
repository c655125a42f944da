"""Rows brought to unit length, whatever their scale.

Shapes: R rows, D dimensions.
"""

import numpy as np

from raycluster.arrays import Array, Float32, Int8, Int64

GOOD, NULL, NOT_FINITE, ZERO = 0, 1, 2, 3
"""Why a row has no unit vector; `GOOD` where it has one."""
REASONS = ("", "a null", "NaN or infinity", "only zeros")
"""The same in words."""
SMALLEST_NORM = 1e-140
"""Below this norm the squares of a float64 row lose digits: the smallest normal square root is 1.5e-154. Such rows are
divided by their largest coordinate first. Any value from 1e-150 to 1e-100 gives the same rows."""


def normalize(vectors: Array) -> tuple[Float32, Int8]:
    """Return unit-length float32 rows of `vectors` (R, D), and why a row has none.

    The reason (R,) is `GOOD`, `NOT_FINITE` or `ZERO`; a row without a unit vector comes back as zeros.
    """
    wide = np.asarray(vectors, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        norm = np.sqrt((wide * wide).sum(axis=1))
        # Squares that overflow or vanish: scale these rows by their largest coordinate and measure again.
        extreme = np.flatnonzero(~((norm > SMALLEST_NORM) & (norm < np.inf)))
        if len(extreme):
            wide = wide.copy()
            largest = np.abs(wide[extreme]).max(axis=1, keepdims=True)
            wide[extreme] /= np.where(largest > 0, largest, 1.0)
            norm[extreme] = np.sqrt((wide[extreme] * wide[extreme]).sum(axis=1))
    reason = np.where(np.isfinite(norm), np.where(norm > 0, GOOD, ZERO), NOT_FINITE).astype(np.int8)
    wide = np.where(reason[:, None] == GOOD, wide, 0.0)
    return (wide / np.where(reason == GOOD, norm, 1.0)[:, None]).astype(np.float32), reason


def content_order(unit: Float32) -> Int64:
    """Return the order (R,) of the content of rows (R, D)."""
    unit = np.ascontiguousarray(unit)
    return np.argsort(unit.view(np.dtype((np.void, unit.strides[0]))).ravel(), kind="stable")
