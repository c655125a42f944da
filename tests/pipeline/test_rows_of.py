"""What people pass as X: vectors, ids, and one sentence for what is none."""

import uuid
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.pipeline.rows_of import rows_of

MATRIX = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_a_table_brings_ids_and_marks_missing_vectors() -> None:
    rows: list[Any] = [*MATRIX[:3].tolist(), None]
    table = pa.table({"id": ["d", "a", "c", "b"], "embedding": pa.array(rows, pa.list_(pa.float32()))})
    result = rows_of(table, None, Config())
    np.testing.assert_array_equal(result.vectors[:3], MATRIX[:3])
    assert result.missing.tolist() == [False, False, False, True]
    assert result.arrow_ids.to_pylist() == ["d", "a", "c", "b"]


def test_arrays_have_row_numbers_for_ids() -> None:
    assert rows_of(MATRIX, None, Config()).arrow_ids.to_pylist() == [0, 1, 2, 3]
    assert rows_of(MATRIX, [7, 5, 6, 4], Config()).arrow_ids.to_pylist() == [7, 5, 6, 4]


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([1, 2], "ids has 2 entries, but X has 4 rows"),
        ([1, 2, None, 3], "ids, row 2: the id is null"),
        ([1, 2, 1, 3], "ids holds 1 twice"),
    ],
)
def test_ids_that_do_not_fit_are_refused(ids: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        rows_of(MATRIX, pa.array(ids), Config())


@pytest.mark.parametrize(
    "ids",
    [
        np.array([2**63, 3, 1, 2], np.uint64),
        np.array([4, 3, 1, 2], ">i4"),
        [uuid.UUID(int=number) for number in range(4)],
        pa.chunked_array([[1, 2], [3, 4]]),
        pa.array([b"0" * 16, b"1" * 16, b"2" * 16, b"3" * 16], pa.uuid()),
        np.array(["a", "b", "c", "d"], object),
    ],
    ids=lambda ids: str(type(ids)),
)
def test_ids_of_any_kind_are_kept(ids: Any) -> None:
    assert len(rows_of(MATRIX, ids, Config()).arrow_ids.unique()) == 4


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([(1, 2)] * 4, "an id is one integer, string or binary"),
        (np.zeros((4, 2)), "an id is one integer, string or binary"),
        ([2**70] * 4, "ids cannot be compared"),
        ([1.0, float("nan"), 2.0, 3.0], "ids, row 1: the id is NaN"),
    ],
)
def test_what_is_no_id_is_refused(ids: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        rows_of(MATRIX, ids, Config())


def test_tensors_of_any_layout_are_rows_if_they_have_values() -> None:
    tensor = torch.tensor(MATRIX)
    for X in (tensor, tensor.to_sparse(), tensor.to_sparse_csr(), tensor.T.contiguous().T):
        np.testing.assert_array_equal(rows_of(X, None, Config()).vectors, MATRIX)
    with pytest.raises(InputError, match="on the device meta, without values"):
        rows_of(tensor.to("meta"), None, Config())


class Frame:
    """What pandas and polars frames have in common."""

    def __init__(self, **columns: list[Any]) -> None:
        self._cells, self.columns = columns, list(columns)

    def __getitem__(self, name: str) -> pd.Series:
        return pd.Series(self._cells[name])

    def to_numpy(self) -> Any:
        return np.array(list(self._cells.values()), object).T


def test_frames_with_a_column_of_vectors_are_tables() -> None:
    cells = {"id": ["d", "a", "c", "b"], "embedding": list(MATRIX), "note": [None] * 4}
    for X in (pd.DataFrame(cells), Frame(**cells)):
        found = rows_of(X, None, Config())
        np.testing.assert_array_equal(found.vectors, MATRIX)
        assert found.arrow_ids.to_pylist() == ["d", "a", "c", "b"]
    np.testing.assert_array_equal(rows_of(pd.Series(list(MATRIX)), None, Config()).vectors, MATRIX)
