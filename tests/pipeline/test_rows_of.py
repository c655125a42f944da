"""What people pass as X: vectors, ids, and one sentence for what is none."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

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
