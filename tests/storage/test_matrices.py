"""What people hold in memory becomes a matrix, or one sentence says why not."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from raycluster.errors import InputError, ResourceError
from raycluster.storage.matrices import matrix_of, text_columns

MATRIX = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_tensors_of_any_layout_are_matrices_if_they_have_values() -> None:
    tensor = torch.tensor(MATRIX, requires_grad=True)
    for X in (tensor, tensor.to_sparse(), tensor.to_sparse_csr(), tensor.T.contiguous().T, tensor.bfloat16()):
        np.testing.assert_array_equal(matrix_of(X), MATRIX)
    with pytest.raises(InputError, match="on the device meta, without values"):
        matrix_of(tensor.to("meta"))


def test_frames_series_lists_and_sparse_matrices_are_matrices() -> None:
    frame = pd.DataFrame(MATRIX, columns=["a", "b", "c"])
    for X in (frame, pd.Series(list(MATRIX)), MATRIX.tolist(), scipy.sparse.csr_array(MATRIX), np.ma.array(MATRIX)):
        np.testing.assert_array_equal(matrix_of(X), MATRIX)
    assert text_columns(frame).tolist() == ["a", "b", "c"]
    assert text_columns(pd.DataFrame(MATRIX)) is None
    assert text_columns(MATRIX) is None


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([[1.0], [1.0, 2.0]], "its rows differ in length"),
        (MATRIX[0], r"of shape \(3,\)\. Reshape your data"),
        (MATRIX.astype(np.complex64), "Complex data not supported"),
        (np.zeros((4, 0)), r"It has 0 feature\(s\)"),
        (np.array([["a", "b"]], object), "not object of shape"),
        (np.ma.array(MATRIX, mask=MATRIX == 7), "X, row 2: the vector holds a masked value"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_named(X: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        matrix_of(X)


def test_lists_of_tensors_and_quantized_tensors_are_matrices() -> None:
    rows = [torch.tensor(row, requires_grad=True) for row in MATRIX]
    np.testing.assert_array_equal(matrix_of(rows), MATRIX)
    np.testing.assert_array_equal(matrix_of([row.bfloat16() for row in rows]), MATRIX)
    quantized = torch.quantize_per_tensor(torch.tensor(MATRIX), 1.0, 0, torch.qint8)
    np.testing.assert_array_equal(matrix_of(quantized), MATRIX)


def test_tensors_of_doubles_keep_their_range() -> None:
    wide = torch.tensor(MATRIX, dtype=torch.float64) * 1e300
    np.testing.assert_array_equal(matrix_of(wide), MATRIX.astype(np.float64) * 1e300)


def test_sparse_matrices_that_fit_into_no_memory_are_refused() -> None:
    with pytest.raises(ResourceError, match=r"X is sparse, and with its zeros it takes 7450\.6 GiB"):
        matrix_of(scipy.sparse.csr_array((10**6, 10**6)))


def test_a_nested_tensor_and_a_missing_row_are_named() -> None:
    with pytest.raises(InputError, match="its tensor is nested"):
        matrix_of(torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged))
    with pytest.raises(InputError, match="X, row 1: the vector is missing"):
        matrix_of(pd.Series([MATRIX[0], None]))
