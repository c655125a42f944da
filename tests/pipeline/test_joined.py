"""Labels beside columns of files that differ."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.errors import InputError
from raycluster.pipeline.joined import joined, label_names

LABELS = pa.table({"id": [1, 2, 3], "cluster_id": [7, 7, 8], "strength": [0.5, 0.6, 0.7]})


def put(path: Path, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def all_rows(url: Path, *, is_numbered: bool = False) -> list[dict[str, Any]]:
    return pa.concat_tables(list(joined(LABELS, str(url), "id", is_numbered=is_numbered))).to_pylist()


def test_files_with_other_columns_in_another_order_make_one_table(tmp_path: Path) -> None:
    put(tmp_path / "1.parquet", id=pa.array([], pa.int64()), a=pa.array([], pa.int32()))
    put(tmp_path / "2.parquet", id=[1], a=pa.array([5], pa.int32()))
    put(tmp_path / "day=2" / "3.parquet", b=["x"], a=[0.5], id=[3])
    assert all_rows(tmp_path) == [
        {"id": 1, "a": 5.0, "b": None, "day": None, "cluster_id": 7, "strength": 0.5},
        {"id": 3, "a": 0.5, "b": "x", "day": "2", "cluster_id": 8, "strength": 0.7},
    ]


def test_ids_may_be_spelled_otherwise_missing_or_twice(tmp_path: Path) -> None:
    put(tmp_path / "a.parquet", id=pa.array(["2", "2", "9", None]))
    assert [row["cluster_id"] for row in all_rows(tmp_path)] == [7, 7, None, None]


def test_rows_without_ids_are_counted_through_where_the_run_counted_them(tmp_path: Path) -> None:
    put(tmp_path / "a.parquet", text=["x", "y"])
    put(tmp_path / "b.parquet", text=["z"])
    assert [row["cluster_id"] for row in all_rows(tmp_path, is_numbered=True)] == [None, 7, 7]
    with pytest.raises(InputError, match=r"a\.parquet has no column 'id'; it has text\."):
        all_rows(tmp_path)


def test_names_that_clash_are_lengthened_until_they_do_not() -> None:
    assert label_names(LABELS, ["cluster_id", "raycluster_cluster_id"]) == {
        "cluster_id": "raycluster_raycluster_cluster_id",
        "strength": "strength",
    }


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ([pa.table([[1], [2], [3]], ["id", "x", "x"])], "has 2 columns named 'x'"),
        ([pa.table({"id": ["a"]})], "column 'id' is string and holds 'a', but the run's ids are int64"),
        ([pa.table({"id": [1], "x": [1]}), pa.table({"id": [2], "x": [[1]]})], "do not fit into one table"),
        (
            [
                pa.table({"id": [1], "x": pa.array([[1]], pa.list_(pa.float16()))}),
                pa.table({"id": [2], "x": pa.array([[1]], pa.list_(pa.decimal128(18, 9)))}),
            ],
            "does not fit into one table: Unsupported cast",
        ),
    ],
)
def test_what_does_not_fit_is_a_sentence(tmp_path: Path, tables: list[pa.Table], sentence: str) -> None:
    for number, table in enumerate(tables):
        pq.write_table(table, tmp_path / f"{number}.parquet")
    with pytest.raises(InputError, match=sentence):
        all_rows(tmp_path)


def test_ids_of_types_that_arrow_does_not_widen_meet_in_that_of_the_run(tmp_path: Path) -> None:
    put(tmp_path / "a.parquet", id=pa.array(["1"]))
    put(tmp_path / "b.parquet", id=pa.array([2]))
    assert [row["id"] for row in all_rows(tmp_path)] == [1, 2]


def test_large_ids_stay_beside_an_empty_file_of_small_ones(tmp_path: Path) -> None:
    put(tmp_path / "a.parquet", id=pa.array([], pa.int64()))
    put(tmp_path / "b.parquet", id=pa.array([2**63 + 1], pa.uint64()))
    labels = LABELS.slice(0, 1).set_column(0, "id", pa.array([2**63 + 1], pa.uint64()))
    tables = list(joined(labels, str(tmp_path), "id", is_numbered=False))
    assert pa.concat_tables(tables).to_pylist() == [{"id": 2**63 + 1, "cluster_id": 7, "strength": 0.5}]
