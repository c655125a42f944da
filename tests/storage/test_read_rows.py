"""An input in memory: rows of all files, or the file that does not fit."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.errors import InputError
from raycluster.storage.read_rows import read_rows


def write(path: Path, rows: list[Any], ids: Any = None) -> None:
    columns = {} if ids is None else {"id": ids}
    pq.write_table(pa.table({**columns, "embedding": pa.array(rows, pa.list_(pa.float32()))}), path)


def test_rows_are_those_of_all_files_and_are_named_by_theirs(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [[1.0, 2.0], [3.0, 4.0]], pa.array([1, 2], pa.int32()))
    write(tmp_path / "b.parquet", [], pa.array([], pa.string()))
    write(tmp_path / "c.parquet", [[5.0, 6.0]], pa.array([3], pa.int64()))
    read = read_rows(str(tmp_path), "id", "embedding")
    assert read.vectors.tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert read.ids is not None
    assert (read.ids.type, read.ids.to_pylist()) == (pa.int64(), [1, 2, 3])
    assert read.where(2, "embedding") == f"{tmp_path}/c.parquet, column 'embedding', row 0"


@pytest.mark.parametrize(
    ("rows", "ids", "words"),
    [
        ([[1.0, 2.0]], ["a"], r"b\.parquet, column 'id' is string, but in .*a\.parquet it is int64"),
        ([[1.0, 2.0]], None, r"b\.parquet has no column 'id', but other files of the input have it"),
        ([[1.0, 2.0]], pa.nulls(1, pa.int64()), r"b\.parquet, column 'id', row 0: the id is null"),
        ([[1.0]], [5], r"b\.parquet, column 'embedding', row 0: the vector has length 1, the first one has 2"),
        ([[]], [5], r"b\.parquet, column 'embedding', row 0: the vector has zero length"),
        ([None], [5], r"b\.parquet, column 'embedding' holds only nulls"),
    ],
)
def test_a_file_that_does_not_fit_the_others_is_named(tmp_path: Path, rows: list[Any], ids: Any, words: str) -> None:
    write(tmp_path / "a.parquet", [[1.0, 2.0]], [1])
    write(tmp_path / "b.parquet", rows, ids)
    with pytest.raises(InputError, match=words):
        read_rows(str(tmp_path), "id", "embedding")


def test_an_input_without_rows_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [], [])
    with pytest.raises(InputError, match="has no rows"):
        read_rows(str(tmp_path), "id", "embedding")
