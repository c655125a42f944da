"""Matrices from what people hold in memory: arrays, tensors, data frames, lists.

Shapes: N rows, D dimensions.
"""

from typing import Any

import numpy as np

from raycluster.arrays import Array
from raycluster.errors import InputError


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
        X = X.toarray()
    try:
        array = np.asarray(X)
    except ValueError as error:
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
    X = X.detach()
    X = (X if str(X.layout) == "torch.strided" else X.to_dense()).cpu()
    return np.asarray((X.float() if X.is_floating_point() else X).numpy())


def _numbers(array: Array) -> Array:
    """Return an array of objects as numbers where all are."""
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        return array
