"""CSV, TSV and JSON lines as tables: cells stay as they are written, and what is broken is named."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from raycluster.errors import InputError
from raycluster.storage.object_store import Store
from raycluster.storage.text_tables import is_text_table, read_text_table


def table(path: Path, data: bytes, *columns: str) -> dict[str, list[Any]]:
    path.write_bytes(data)
    return read_text_table(Store(str(path.parent)), path.name, columns)[1].to_pydict()


def refusal(path: Path, data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        table(path, data, "id", "label")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


@pytest.mark.parametrize(("name", "is_text"), [("a.CSV", True), ("b.jsonl.gz", True), ("c.txt", False), ("csv", False)])
def test_the_ending_decides(name: str, is_text: bool) -> None:
    assert is_text_table(name) == is_text


def test_cells_are_text_as_they_are_written(tmp_path: Path) -> None:
    data = b'id,vector,label\n007,"[1, 2]",1.0\n"a\nb",,\n2020-01-01,,"x, y"\n'
    assert table(tmp_path / "a.csv", data, "id", "label") == {
        "id": ["007", "a\nb", "2020-01-01"],
        "label": ["1.0", None, "x, y"],
    }


def test_values_of_json_keep_their_kind_and_what_is_missing_is_null(tmp_path: Path) -> None:
    data = b'{"id": "2020-01-01", "label": 3}\n{"id": "007", "x": [1]}\n'
    assert table(tmp_path / "a.jsonl", data, "id", "label") == {"id": ["2020-01-01", "007"], "label": [3, None]}


def test_all_columns_are_named_and_rows_count_without_a_wanted_one(tmp_path: Path) -> None:
    for name, data in (("a.csv", b"x,y\n1,2\n3,4\n"), ("b.jsonl", b'{"x": 1}\n{"y": 4}\n')):
        (tmp_path / name).write_bytes(data)
        names, found = read_text_table(Store(str(tmp_path)), name, ["label"])
        assert (names, found.num_rows) == (["x", "y"], 2)


def test_packed_text_is_read(tmp_path: Path) -> None:
    assert table(tmp_path / "a.csv.gz", gzip.compress(b"id\n1\n"), "id") == {"id": ["1"]}
    assert refusal(tmp_path / "b.csv.gz", b"id\n1\n").startswith(f"{tmp_path}/b.csv.gz is no readable gzip file: ")
    assert "gzip" in refusal(tmp_path / "c.tsv.gz", gzip.compress(b"id\n" * 99)[:-9])


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.csv", b"", "no readable text in UTF-8"),
        ("latin.csv", "id,label\n1,Zo\xeb\n".encode("latin-1"), "UTF8"),
        ("wide.csv", "id,label\n1,a\n".encode("utf-16"), "no readable text in UTF-8"),
        ("ragged.csv", b"id,label\n1,2\n1,2,3\n", "Expected 2 columns, got 3"),
        ("twice.csv", b"id,id\n1,2\n", "has 2 columns named 'id'"),
        ("broken.jsonl", b'{"id": 1}\n{"id": \n', "line 2 is no JSON object"),
        ("list.jsonl", b"[1, 2]\n", "line 1 is no JSON object"),
        ("mixed.jsonl", b'{"id": 1}\n{"id": "a"}\n', "column 'id' holds no one kind of values"),
        ("large.jsonl", b'{"id": 99999999999999999999}\n', "column 'id' holds no one kind of values"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    assert words in refusal(tmp_path / name, data)
