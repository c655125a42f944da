"""Array types, each defined once. Functions name their shapes in their docstrings."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""Any dtype."""
Bool = npt.NDArray[np.bool_]
Int8 = npt.NDArray[np.int8]
UInt8 = npt.NDArray[np.uint8]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Ints = npt.NDArray[np.integer]
"""Any integer dtype."""
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]
"""Any floating dtype."""
Vectors = npt.NDArray[np.floating]
"""Rows of unit length, float32 or float16, shape (N, D)."""
