"""Matrices from what people hold in memory: arrays, tensors, data frames, lists.

Shapes: N rows, D dimensions.
"""

from typing import Any

import numpy as np

from raycluster.arrays import Array
from raycluster.errors import InputError, ResourceError
from raycluster.storage.free_memory import available_bytes

FLOAT32_BYTES = 4
"""Bytes of the narrowest numbers of a tensor that numpy reads as they are. It has no bfloat16: narrower ones are widened."""


def matrix_of(X: Any) -> Array:
    """Return the vectors (N, D) of an array, a tensor, a list or a data frame.

    Raises InputError for what is no matrix of real numbers.
    """
    if hasattr(X, "to_numpy") and hasattr(X, "columns"):
        X = X.to_numpy()
    if hasattr(X, "detach"):
        X = _values_of_tensor(X)
    if hasattr(X, "to_list") and not isinstance(X, np.ndarray):  # a series whose cells are vectors
        X = X.to_list()
    if isinstance(X, np.ma.MaskedArray):
        if X.ndim == 2 and np.ma.getmaskarray(X).any():
            row = int(np.flatnonzero(np.ma.getmaskarray(X).any(axis=1))[0])
            raise InputError(f"X, row {row}: the vector holds a masked value.")
        X = X.data
    if hasattr(X, "toarray"):
        X = _with_zeros(X)
    if isinstance(X, list | tuple) and any(hasattr(row, "detach") for row in X):
        X = [_values_of_tensor(row) if hasattr(row, "detach") else row for row in X]
    try:
        array = np.asarray(X)
    except ValueError as error:
        if isinstance(X, list | tuple) and (empty := [row for row, vector in enumerate(X) if vector is None]):
            raise InputError(f"X, row {empty[0]}: the vector is missing.") from error
        raise InputError("X must be a 2-d array of numbers, but its rows differ in length.") from error
    if array.dtype == object:
        array = _numbers(array)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or array.size == 0:
        hint = " Reshape your data: X.reshape(1, -1) is one row." if array.ndim == 1 else ""
        hint = " Complex data not supported." if array.dtype.kind == "c" else hint
        if array.ndim == 2 and array.shape[1] == 0:
            hint = f" It has 0 feature(s) (shape={array.shape}) while a minimum of 1 is required."
        raise InputError(f"X must be a 2-d array of numbers, not {array.dtype} of shape {array.shape}.{hint}")
    return array


def text_columns(X: Any) -> Any:
    """Return the column names of a data frame; none unless all are text."""
    columns = getattr(X, "columns", None)
    if columns is None or not len(columns) or not all(isinstance(name, str) for name in columns):
        return None
    return np.asarray(list(columns), dtype=object)


def _values_of_tensor(X: Any) -> Array:
    """Return the values of a tensor.

    Its gradient is no part of the vectors, and numpy has no bfloat16.
    """
    if X.is_meta:
        raise InputError("X must be a 2-d array of numbers, but its tensor is on the device meta, without values.")
    if X.is_nested:
        raise InputError("X must be a 2-d array of numbers, but its tensor is nested: its rows may differ in length.")
    X = X.detach()
    X = (X if str(X.layout) == "torch.strided" else X.to_dense()).cpu()
    X = X.dequantize() if X.is_quantized else X
    is_narrow = X.is_floating_point() and X.element_size() < FLOAT32_BYTES
    return np.asarray((X.float() if is_narrow else X).numpy())


def _with_zeros(X: Any) -> Array:
    """Return a sparse matrix as an array.

    Raises ResourceError where that fits into no memory.
    """
    need, free = int(np.prod(X.shape, dtype=object)) * X.dtype.itemsize, available_bytes()
    if need > free:
        raise ResourceError(
            f"X is sparse, and with its zeros it takes {need / 2**30:.1f} GiB, of which {free / 2**30:.1f} GiB are free; "
            "reduce its columns, by a truncated singular value decomposition for example."
        )
    return np.asarray(X.toarray())


def _numbers(array: Array) -> Array:
    """Return an array of objects as numbers where all are."""
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        return array
