"""True identities read from Parquet: whose label counts, as which type, and what is refused by column."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.errors import InputError
from raycluster.evaluation.truth import read_labels

IDS, LABELS = [5, 3, 9, 4], ["Ada", "Bo", "Ada", "Cy"]


def write(path: Path, **columns: Any) -> str:
    """A Parquet file with columns `id` and `label` unless others are given; None leaves one out."""
    values = {"id": pa.array(IDS), "label": pa.array(LABELS), **columns}
    pq.write_table(pa.table({name: value for name, value in values.items() if value is not None}), path)
    return str(path)


def read(source: str, id_type: pa.DataType | None = None) -> dict[Any, str]:
    """The label of every id."""
    ids, labels = read_labels(source, "id", "label", id_type or pa.int64())
    assert ids.type == (id_type or pa.int64())
    assert labels.type == pa.large_string()
    return dict(zip(ids.to_pylist(), labels.to_pylist(), strict=True))


def refusal(source: str, id_type: pa.DataType | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read(source, id_type)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_ids_and_labels_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    ids, labels = read_labels(write(tmp_path / "truth.parquet"), "id", "label", pa.int64())
    assert (ids.to_pylist(), labels.to_pylist()) == (IDS, LABELS)


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.string(), pa.large_string()])
def test_labels_of_any_usable_type_are_text(tmp_path: Path, kind: pa.DataType) -> None:
    source = write(tmp_path / "truth.parquet", label=pa.array([7, 8, 7, 100]).cast(kind))
    assert read(source) == {5: "7", 3: "8", 9: "7", 4: "100"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.int32(), IDS),
        (pa.uint8(), IDS),
        (pa.string(), ["5", "3", "9", "4"]),
        (pa.binary(), [b"5", b"3", b"9", b"4"]),
    ],
)
def test_ids_are_cast_to_the_type_asked_for(tmp_path: Path, kind: pa.DataType, expected: list[Any]) -> None:
    written = pa.array(IDS) if kind != pa.binary() else pa.array(["5", "3", "9", "4"])
    assert list(read(write(tmp_path / "truth.parquet", id=written), kind)) == expected


def test_dictionaries_and_fixed_binary_ids_are_read(tmp_path: Path) -> None:
    keys = pa.array([b"aa", b"bb", b"cc", b"dd"], pa.binary(2))
    source = write(tmp_path / "truth.parquet", id=keys, label=pa.array(LABELS).dictionary_encode())
    assert read(source, pa.binary()) == dict(zip([b"aa", b"bb", b"cc", b"dd"], LABELS, strict=True))


def test_rows_without_a_label_are_left_out_and_may_repeat_an_id(tmp_path: Path) -> None:
    source = write(tmp_path / "truth.parquet", id=pa.array([5, 5, 9, 9]), label=pa.array([None, "Bo", "Ada", None]))
    assert read(source) == {5: "Bo", 9: "Ada"}


def test_files_of_a_folder_are_one_truth_whatever_their_types(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", id=pa.array([1, 2], pa.int16()), label=pa.array([7, 8]))
    write(tmp_path / "b.parquet", id=pa.array(["4", "3"]), label=pa.array(["7", "x"]))
    write(tmp_path / "c.parquet", id=pa.array([], pa.int64()), label=pa.array([], pa.string()))
    assert read(str(tmp_path)) == {1: "7", 2: "8", 4: "7", 3: "x"}


def test_an_id_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", id=pa.array([1, 2]), label=pa.array(["x", "y"]))
    write(tmp_path / "b.parquet", id=pa.array([2, 3]), label=pa.array(["y", "z"]))
    assert refusal(str(tmp_path)) == f"{tmp_path}, column 'id' holds the id 2 twice."


def test_an_id_twice_in_a_file_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "truth.parquet", id=pa.array(["a", "b", "c", "b"]))
    assert refusal(source, pa.string()) == f"{source}, column 'id' holds the id 'b' twice."


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    source = write(tmp_path / "truth.parquet", id=None, label=None, face=pa.array([1]), person=pa.array(["Ada"]))
    ids, labels = read_labels(source, "face", "person", pa.int64())
    assert (ids.to_pylist(), labels.to_pylist()) == ([1], ["Ada"])


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    source = write(tmp_path / "truth.parquet", label=None)
    assert refusal(source) == f"{source} has no column 'label'; it has id."
    source = write(tmp_path / "truth.parquet", id=None)
    assert refusal(source, pa.string()) == f"{source} has no column 'id'; it has label."


def test_rows_without_ids_are_numbered_over_the_files_where_the_runs_rows_are(tmp_path: Path) -> None:
    for name, part in (("a", slice(0, 3)), ("b", slice(3, 4))):
        write(tmp_path / f"{name}.parquet", id=None, label=pa.array(LABELS[part]))
    assert refusal(str(tmp_path)).endswith("has no column 'id'; it has label.")
    ids, labels = read_labels(str(tmp_path), "id", "label", pa.int64(), numbered=4)
    numbers = {number: label for number, label in enumerate(LABELS) if label is not None}
    assert dict(zip(ids.to_pylist(), labels.to_pylist(), strict=True)) == numbers
    with pytest.raises(InputError, match=r"has no column 'id' and 4 rows, but the run, .* row numbers, has 5\."):
        read_labels(str(tmp_path), "id", "label", pa.int64(), numbered=5)


def test_labels_of_whole_doubles_are_integers_and_other_columns_may_be_of_any_type(tmp_path: Path) -> None:
    extra = pa.array([b"0" * 16] * 4, pa.uuid())
    source = write(tmp_path / "truth.parquet", label=pa.array([7.0, None, 8.0, 7.0]), extra=extra)
    assert read(source) == {5: "7", 9: "8", 4: "7"}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"label": pa.array([0.5] * 4)}, "column 'label' is double; labels are integers or strings."),
        ({"label": pa.array([True] * 4)}, "column 'label' is bool; labels are integers or strings."),
        ({"label": pa.array([b"x"] * 4)}, "column 'label' is binary; labels are integers or strings."),
        ({"label": pa.array([[1]] * 4)}, "column 'label' is list<element: int64>; labels are integers or strings."),
        ({"label": pa.nulls(4, pa.string())}, "column 'label' holds no label."),
        ({"id": pa.array(["a", "b", "c", "d"])}, "column 'id' is string and holds 'a', but the run's ids are int64."),
        ({"id": pa.array([[1]] * 4)}, "column 'id' is list<element: int64>, but the run's ids are int64."),
    ],
    ids=range(7),
)
def test_columns_of_unusable_types_are_refused_by_name(tmp_path: Path, columns: dict[str, Any], expected: str) -> None:
    source = write(tmp_path / "truth.parquet", **columns)
    assert refusal(source).startswith(f"{source}, {expected}")


def test_the_file_that_is_wrong_is_named_among_others(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet")
    wrong = write(tmp_path / "b.parquet", id=pa.array([11, 12, 13, 14]), label=pa.array([0.5] * 4))
    assert refusal(str(tmp_path)) == f"{wrong}, column 'label' is double; labels are integers or strings."


def test_a_truth_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert refusal(f"{tmp_path}/absent") == f"The input {tmp_path}/absent does not exist or is an empty folder."


def test_ids_that_do_not_fit_the_type_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "truth.parquet", id=pa.array([1, 2, 3, 2**40]))
    assert (
        refusal(source, pa.int32()) == f"{source}, column 'id' is int64 and holds {2**40}, but the run's ids are int32."
    )


def test_a_row_with_a_label_needs_an_id(tmp_path: Path) -> None:
    source = write(tmp_path / "truth.parquet", id=pa.array([5, None, 9, None]), label=pa.array(["a", "b", "c", None]))
    assert refusal(source) == f"{source}, column 'id': 1 rows with a label have no id."


def test_decimals_are_labels_and_hives_name_for_null_is_none(tmp_path: Path) -> None:
    whole = pa.array([7, 8, 7, 100]).cast(pa.decimal128(21, 1))
    assert read(write(tmp_path / "truth.parquet", label=whole)) == {5: "7", 3: "8", 9: "7", 4: "100"}
    for value, ids in (("a%2Fb", [5, 3]), ("__HIVE_DEFAULT_PARTITION__", [9, 4])):
        folder = tmp_path / "hive" / f"label={value}"
        folder.mkdir(parents=True)
        write(folder / "part.parquet", id=pa.array(ids), label=None)
    assert read(str(tmp_path / "hive")) == {5: "a/b", 3: "a/b"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("truth.csv", "id,label\n5,Ada\n3,Bo\n9,Ada\n4,Cy\n"),
        ("TRUTH.CSV", "\ufefflabel;more;id\r\nAda;1,5;5\r\nBo;;3\r\nAda;;9\r\nCy;;4\r\n"),
        ("truth.tsv", "id\tlabel\n5\tAda\n3\tBo\n9\tAda\n4\tCy\n"),
        (
            "truth.jsonl",
            '{"id":5,"label":"Ada"}\n\n{"label":"Bo","id":3}\n{"id":9,"label":"Ada"}\n{"id":4,"label":"Cy"}',
        ),
    ],
)
def test_labels_are_read_from_text_as_from_parquet(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    wanted = read(write(tmp_path / "truth.parquet"))
    assert read(str(tmp_path / name)) == wanted == dict(zip(IDS, LABELS, strict=True))


def test_text_in_a_folder_counts_where_there_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,label\n1,7\n2,\n")
    (tmp_path / "label=x").mkdir()
    (tmp_path / "label=x" / "b.ndjson").write_text('{"id": "3"}\n')
    assert read(str(tmp_path)) == {1: "7", 3: "x"}
    write(tmp_path / "c.parquet")
    assert read(str(tmp_path)) == dict(zip(IDS, LABELS, strict=True))


def test_lines_of_text_without_ids_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("label\na\nb\na\n")
    ids, labels = read_labels(str(tmp_path / "truth.csv"), "id", "label", pa.int64(), numbered=3)
    assert (ids.to_pylist(), labels.to_pylist()) == ([0, 1, 2], ["a", "b", "a"])


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "id,name\n1,x\n", " has no column 'label'; it has id, name."),
        ("b.csv", "id,label\nx,1\n", ", column 'id' is large_string and holds 'x', but the run's ids are int64."),
        ("c.csv", "id,label\n1,a\n1,b\n", ", column 'id' holds the id 1 twice."),
        ("d.csv", "id,label\n1,\n", ", column 'label' holds no label."),
        ("e.jsonl", '{"id": 1, "label": 0.5}', ", column 'label' is double; labels are integers or strings."),
        ("f.jsonl", '{"id": 1}\n{"id": 2}', " has no column 'label'; it has id."),
    ],
)
def test_mistakes_in_text_have_the_sentences_of_parquet(tmp_path: Path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).write_text(text)
    assert refusal(str(tmp_path / name)) == f"{tmp_path / name}{expected}"
