"""What people hold in memory becomes a matrix, or one sentence says why not."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from raycluster.errors import InputError
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
