"""What people pass as X: vectors, ids, and one sentence for what is none."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.kernels.unit_rows import normalize
from raycluster.pipeline.rows_of import rows_of

MATRIX = np.arange(12, dtype=np.float32).reshape(4, 3)


UNIT, _ = normalize(MATRIX)


def test_a_table_brings_ids_in_whose_order_rows_are_taken() -> None:
    table = pa.table({"id": ["d", "a", "c", "b"], "embedding": pa.array(MATRIX.tolist(), pa.list_(pa.float32()))})
    result = rows_of(table, None, Config())
    np.testing.assert_array_equal(result.unit, UNIT)
    assert (result.ids.to_pylist(), result.has_ids) == (["d", "a", "c", "b"], True)
    assert result.order.tolist() == [1, 3, 2, 0]


def test_a_missing_vector_is_named() -> None:
    rows: list[Any] = [*MATRIX[:3].tolist(), None]
    with pytest.raises(InputError, match=r"^X, row 3: the vector holds a null\.$"):
        rows_of(pa.table({"embedding": pa.array(rows, pa.list_(pa.float32()))}), None, Config())


@pytest.mark.parametrize("seed", [0, 1])
def test_without_ids_the_order_is_that_of_content(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(4)
    moved = rows_of(MATRIX[order], None, Config())
    assert not moved.has_ids
    straight = rows_of(MATRIX, None, Config())
    np.testing.assert_array_equal(moved.unit[moved.order], straight.unit[straight.order])


def test_arrays_have_row_numbers_for_ids() -> None:
    assert rows_of(MATRIX, None, Config()).ids.to_pylist() == [0, 1, 2, 3]
    assert rows_of(MATRIX, [7, 5, 6, 4], Config()).ids.to_pylist() == [7, 5, 6, 4]


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
    assert len(rows_of(MATRIX, ids, Config()).ids.unique()) == 4


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([(1, 2)] * 4, "an id is one integer, string or binary"),
        (np.zeros((4, 2)), "an id is one integer, string or binary"),
        ([2**70] * 4, "ids cannot be compared"),
        ([1.0, float("nan"), 2.0, 3.0], "ids, row 1: the id is NaN"),
        ([1, "1", 2, 3], "ids cannot be compared"),
        (["a", "b", "c", "\udcff"], "ids cannot be compared"),
        (7, "ids cannot be compared"),
        ("abcd", "ids is one text, 'abcd'; it takes one id per row"),
    ],
)
def test_what_is_no_id_is_refused(ids: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        rows_of(MATRIX, ids, Config())


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
        np.testing.assert_array_equal(found.unit, UNIT)
        assert found.ids.to_pylist() == ["d", "a", "c", "b"]
    np.testing.assert_array_equal(rows_of(pd.Series(list(MATRIX)), None, Config()).unit, UNIT)


def test_ids_keep_zero_bytes_at_their_end() -> None:
    ids = [number.to_bytes(4, "little") for number in (256, 1, 2, 0)]
    assert rows_of(MATRIX, ids, Config()).ids.to_pylist() == ids


def test_tensors_in_the_cells_of_a_frame_are_vectors() -> None:
    frame = pd.DataFrame({"embedding": [torch.tensor(row, requires_grad=True) for row in MATRIX]})
    np.testing.assert_array_equal(rows_of(frame, None, Config()).unit, UNIT)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"embedding": [MATRIX[0], "b"]}), "X, column 'embedding' cannot be read: cannot mix list"),
        (pd.DataFrame({"id": [1, "a"], "embedding": list(MATRIX[:2])}), "X, column 'id' cannot be read"),
        (pd.DataFrame({"embedding": [np.array([1j])]}), "X, column 'embedding' cannot be read"),
        (pd.DataFrame([[MATRIX[0]] * 2], columns=["embedding"] * 2), "X has 2 columns named 'embedding'"),
    ],
)
def test_cells_that_are_no_vectors_are_refused(frame: pd.DataFrame, words: str) -> None:
    with pytest.raises(InputError, match=words):
        rows_of(frame, None, Config())


def write(path: Path, embedding: Any, **columns: Any) -> None:
    pq.write_table(pa.table({**columns, "embedding": embedding}), path)


def test_files_of_other_types_are_rows_of_one_input(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", MATRIX[:2].tolist(), id=pa.array(["d", "a"]).dictionary_encode())
    write(tmp_path / "b.parquet", [str(row.tolist()) for row in MATRIX[2:]], id=pa.array(["c", "b"], pa.large_string()))
    result = rows_of(tmp_path, None, Config())
    np.testing.assert_array_equal(result.unit, UNIT)
    assert result.ids.to_pylist() == ["d", "a", "c", "b"]


def test_a_bad_row_of_a_file_is_named_by_file_and_row(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", MATRIX[:2].tolist())
    write(tmp_path / "b.parquet", [MATRIX[2].tolist(), None])
    with pytest.raises(InputError, match=r"b\.parquet, column 'embedding', row 1: the vector holds a null\."):
        rows_of(tmp_path, None, Config())


@pytest.mark.parametrize("kind", [pa.Table, pa.RecordBatch])
def test_a_table_of_numbers_is_a_matrix_and_others_need_a_column_of_vectors(kind: Any) -> None:
    columns = {f"f{place}": MATRIX[:, place] for place in range(MATRIX.shape[1])}
    rows = rows_of(kind.from_pydict(columns), None, Config())
    np.testing.assert_array_equal(rows.unit, rows_of(MATRIX, None, Config()).unit)
    assert list(rows.feature_names) == list(columns)
    with pytest.raises(InputError, match="X has no column 'embedding'"):
        rows_of(kind.from_pydict({"id": [1, 2, 3, 4], **columns}), None, Config())
