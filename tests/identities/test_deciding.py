"""Columns that decide: read, grown, and as codes."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.errors import ConfigError, InputError
from raycluster.identities import deciding


def written(path, **columns):
    pq.write_table(pa.table(columns), path)
    return str(path)


def test_names_carry_their_kind():
    assert deciding.named({"same": ["ean"], "exclusive": ["frame", "page"]}) == [
        "exclusive:frame",
        "exclusive:page",
        "same:ean",
    ]
    with pytest.raises(ConfigError, match="'ean' is named twice"):
        deciding.named({"same": ["ean"], "differ": ["ean"]})


def test_values_follow_the_ids_over_several_files_and_the_last_row_of_an_id_counts(tmp_path):
    one = written(tmp_path / "a.parquet", id=[3, 1], ean=pa.array(["x", None]), frame=[7, 8])
    two = written(tmp_path / "b.parquet", id=[2, 3], ean=pa.array(["y", "z"]).dictionary_encode())
    found = deciding.values([one, two], "id", ["same:ean", "exclusive:frame"], pa.array([1, 2, 3, 4]))
    assert found["same:ean"].to_pylist() == [None, "y", "z", None]
    assert found["exclusive:frame"].to_pylist() == [8, None, 7, None]


def test_a_column_that_no_file_has_or_that_changes_its_type_is_refused(tmp_path):
    one = written(tmp_path / "a.parquet", id=[1], ean=["x"])
    two = written(tmp_path / "b.parquet", id=[2], ean=[5])
    with pytest.raises(InputError, match="has the column 'page', which decides"):
        deciding.values([one], "id", ["same:page"], pa.array([1]))
    with pytest.raises(InputError, match=r"'ean' of .* is int64 and string"):
        deciding.values([one, two], "id", ["same:ean"], pa.array([1, 2]))
    with pytest.raises(InputError, match="has no column 'key'"):
        deciding.values([one], "key", ["same:ean"], pa.array([1]))


def test_new_rows_extend_columns():
    before = {"same:ean": pa.chunked_array([["x", "y"]])}
    more = deciding.extended(before, {"same:ean": pa.chunked_array([["x"]])}, 1)
    assert more["same:ean"].to_pylist() == ["x", "y", "x"]
    assert deciding.extended(before, {}, 2)["same:ean"].to_pylist() == ["x", "y", None, None]
    with pytest.raises(InputError, match="'ean' is list"):
        deciding.extended(before, {"same:ean": pa.chunked_array([[[1]]])}, 1)


def test_codes_are_equal_where_values_are_and_removed_rows_have_none():
    table = {"same:ean": pa.chunked_array([["x", None, "y"], ["x"]]), "differ:land": pa.chunked_array([[1, 1, 2, 2]])}
    columns = deciding.in_codes(table, np.array([True, True, True, False]))
    assert columns.same["ean"].tolist() == [0, -1, 1, -1]
    assert columns.differ["land"].tolist() == [0, 0, 1, -1]
    assert columns.exclusive == {}


def test_lists_cannot_decide(tmp_path):
    one = written(tmp_path / "a.parquet", id=[1], vector=[[0.5]])
    with pytest.raises(InputError, match=r"column 'vector' is list<.*>; lists cannot decide\."):
        deciding.values([one], "id", ["same:vector"], pa.array([1]))
