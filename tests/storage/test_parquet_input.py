"""The plan: which files count, what is refused, and every id's place in the order."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.storage.column_types import plain_ids
from raycluster.storage.parquet_input import describe_input, input_files, read_rows
from raycluster.storage.vector_forms import read_vectors
from support.inputs import VECTOR, plan_of, refusal, rows

Write = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "input"
    path.mkdir()
    return path


def test_files_are_found_in_nested_folders_and_sorted_and_hidden_ones_are_skipped(folder: Path) -> None:
    wanted = ["a.parquet", "deep/c.pq", "deep/er/b.parquet"]
    skipped = [
        ".hidden.parquet",
        "_temporary/d.parquet",
        ".cache/e.parquet",
        "deep/_f.parquet",
        "notes.txt",
        "_SUCCESS",
    ]
    for name in (*wanted, *skipped):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    assert input_files(str(folder))[1] == wanted


def test_a_hidden_part_of_the_path_to_the_input_hides_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "_private" / ".here"
    folder.mkdir(parents=True)
    pq.write_table(rows([1]), folder / "a.parquet")
    assert input_files(str(folder))[1] == ["a.parquet"]


def test_one_file_is_an_input_whatever_its_name(folder: Path) -> None:
    pq.write_table(rows([1, 2]), folder / "faces")
    assert plan_of(folder / "faces")[0].input.rows == 2


def test_missing_empty_and_parquetless_inputs_are_named(folder: Path) -> None:
    assert refusal(folder) == f"The input {folder} does not exist or is an empty folder."
    assert refusal(folder / "absent") == f"The input {folder}/absent does not exist or is an empty folder."
    (folder / "notes.txt").write_text("x")
    assert refusal(folder) == f"The input {folder} holds no Parquet file."


def test_the_description_is_equal_until_bytes_change_or_a_file_comes(folder: Path, tmp_path: Path) -> None:
    pq.write_table(rows([1, 2]), folder / "a.parquet")
    before = describe_input(str(folder))
    os.utime(folder / "a.parquet", ns=(1, 1))
    shutil.copytree(folder, tmp_path / "copy")
    for spelling in (f"{folder}/", f"{folder}/../{folder.name}", folder.as_uri(), str(tmp_path / "copy")):
        assert describe_input(spelling).files == before.files
    pq.write_table(rows([1, 3]), folder / "a.parquet")
    changed = describe_input(str(folder))
    assert changed.files != before.files
    pq.write_table(rows([3]), folder / "b.parquet")
    assert describe_input(str(folder)).files != changed.files


def test_an_input_without_any_row_is_refused(folder: Path) -> None:
    pq.write_table(rows([], pa.int64()), folder / "a.parquet")
    assert refusal(folder) == f"The input {folder} has no rows."


def test_a_null_id_names_its_row(folder: Path) -> None:
    pq.write_table(rows([1, 2, None, 4, None]), folder / "a.parquet", row_group_size=2)
    assert refusal(folder) == f"{folder}/a.parquet, column 'id', row 2: the id is null."


@pytest.mark.parametrize("kind", [pa.float64(), pa.bool_(), pa.timestamp("us"), pa.list_(pa.int64())])
def test_ids_of_an_unusable_type_are_refused_by_name(folder: Path, kind: pa.DataType) -> None:
    values: dict[str, list[Any]] = {"double": [1.5], "bool": [True], "timestamp[us]": [0]}
    pq.write_table(rows(values.get(str(kind), [[1]]), kind), folder / "a.parquet")
    assert refusal(folder).startswith(f"{folder}/a.parquet, column 'id' is {str(kind)[:4]}")
    assert refusal(folder).endswith("ids are integers, strings or binary.")


@pytest.mark.parametrize(
    "column",
    [pa.array([1.0]), pa.array([["a"]]), pa.array([[[[1.0]]]]), pa.array([0], pa.timestamp("us"))],
)
def test_embeddings_of_an_unusable_type_are_refused_by_name(folder: Path, column: pa.Array) -> None:
    pq.write_table(pa.table({"id": [1], "embedding": column}), folder / "a.parquet")
    assert refusal(folder).startswith(f"{folder}/a.parquet, column 'embedding' is ")
    assert refusal(folder).endswith("or many columns named by a pattern such as --embedding-column 'dim_*'.")


def test_the_field_of_a_struct_must_be_named(folder: Path) -> None:
    pq.write_table(pa.table({"id": [1], "embedding": [{"x": 1.0}]}), folder / "a.parquet")
    assert refusal(folder).endswith("name its field with the vectors after a point: 'x'.")


def test_text_that_is_no_vector_is_refused_by_name(folder: Path) -> None:
    pq.write_table(pa.table({"id": [1], "embedding": ["a cat"]}), folder / "a.parquet")
    assert (
        refusal(folder) == f"{folder}/a.parquet, column 'embedding', row 0: the text 'a cat' is no vector of numbers."
    )


@pytest.mark.parametrize("missing", ["face", "embedding"])
def test_a_missing_column_is_named_with_those_there_are(folder: Path, missing: str) -> None:
    table = (
        rows([1]).rename_columns(["face", "embedding"]).drop_columns([missing]).append_column("other", pa.array([1]))
    )
    pq.write_table(table, folder / "a.parquet")
    have = ", ".join(table.column_names)
    with pytest.raises(InputError) as caught:
        plan_of(folder, config=Config(id_column="face"))
    assert str(caught.value) == f"{folder}/a.parquet has no column '{missing}'; it has {have}."


def test_row_numbers_are_the_ids_where_no_file_has_an_id_column(folder: Path) -> None:
    for name in ("a", "b"):
        pq.write_table(rows([7, 7, 7]).drop_columns(["id"]), folder / f"{name}.parquet")
    plan, ranks = plan_of(folder)
    assert plan.input.numbered
    assert np.concatenate(ranks).tolist() == list(range(6))
    assert [piece.offset for piece in plan.pieces] == [0, 3]


def test_columns_may_have_other_names_and_other_columns_may_be_there(folder: Path) -> None:
    table = rows([3, 1]).rename_columns(["face", "vector"]).append_column("blob", pa.array([b"a", None]))
    pq.write_table(table, folder / "a.parquet")
    _, ranks = plan_of(folder, config=Config(id_column="face", embedding_column="vector"))
    assert ranks[0].tolist() == [1, 0]


def test_a_column_that_is_there_twice_is_refused(folder: Path) -> None:
    table = rows([1])
    twice = pa.Table.from_arrays([table["id"], table["id"], table["embedding"]], names=["id", "id", "embedding"])
    pq.write_table(twice, folder / "a.parquet")
    assert refusal(folder) == f"{folder}/a.parquet has 2 columns named 'id'."


def marked(name: str, kind: pa.DataType) -> pa.Field:
    """A field that says it is of an extension type nobody has registered."""
    return pa.field(name, kind, metadata={"ARROW:extension:name": "evil.pickle", "ARROW:extension:metadata": "x"})


TENSOR = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((1, 2), np.float32))


@pytest.mark.parametrize(
    ("field", "values"),
    [
        (marked("embedding", VECTOR), pa.array([[1.0, 2.0]], VECTOR)),
        (marked("id", pa.int64()), pa.array([1])),
        (pa.field("embedding", pa.list_(marked("element", pa.float32()))), pa.array([[1.0]])),
    ],
    ids=str,
)
def test_a_foreign_extension_type_in_a_named_column_is_refused_even_where_it_is_nested(
    folder: Path, field: pa.Field, values: Any
) -> None:
    columns = {"id": pa.array([1]), "embedding": pa.array([[1.0, 2.0]], VECTOR)}
    columns[field.name] = values.cast(field.type)
    fields = [field if name == field.name else pa.field(name, column.type) for name, column in columns.items()]
    pq.write_table(pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields)), folder / "a.parquet")
    expected = f"{folder}/a.parquet, column '{field.name}' has the extension type evil.pickle, which may run code"
    assert refusal(folder).startswith(expected)


@pytest.mark.parametrize(
    "unused",
    [
        TENSOR,
        pa.array([b"0" * 16], pa.uuid()),
        pa.array(["{}"], pa.json_()),
        pa.array([b"x"]).cast(pa.binary()),
        pa.array([{"inner": [1]}]),
    ],
)
def test_columns_that_no_option_names_may_be_of_any_type(folder: Path, unused: Any) -> None:
    table = pa.table({"id": [2, 1], "embedding": pa.array([[1.0, 2.0]] * 2, VECTOR)})
    doubled = pa.concat_arrays([unused, unused]) if not isinstance(unused, pa.ExtensionArray) else None
    values = (
        doubled
        if doubled is not None
        else pa.ExtensionArray.from_storage(unused.type, pa.concat_arrays([unused.storage, unused.storage]))
    )
    pq.write_table(table.append_column("unused", values), folder / "a.parquet")
    assert plan_of(folder)[1][0].tolist() == [1, 0]


def test_tensors_are_vectors_and_uuids_are_ids(folder: Path) -> None:
    pq.write_table(pa.table({"id": pa.array([b"1" * 16], pa.uuid()), "embedding": TENSOR}), folder / "a.parquet")
    plan, _ = plan_of(folder)
    assert (plan.input.width, plan.input.id_type) == (2, "binary")


def test_the_width_is_that_of_the_first_vector_there_is(folder: Path) -> None:
    table = pa.table({"id": [1, 2, 3], "embedding": pa.array([None, None, [1.0, 2.0, 3.0]], VECTOR)})
    pq.write_table(table, folder / "b.parquet")
    pq.write_table(pa.table({"id": [4], "embedding": pa.array([None], VECTOR)}), folder / "a.parquet")
    assert plan_of(folder)[0].input.width == 3


@pytest.mark.parametrize(
    "kind", [VECTOR, pa.large_list(pa.float64()), pa.list_(pa.float32(), 4), pa.list_(pa.float16())]
)
def test_every_kind_of_list_has_a_width(folder: Path, kind: pa.DataType) -> None:
    values = [np.float16(1)] * 4 if kind.value_type == pa.float16() else [1.0] * 4
    pq.write_table(pa.table({"id": [1], "embedding": pa.array([values], kind)}), folder / "a.parquet")
    assert plan_of(folder)[0].input.width == 4


def test_a_first_vector_of_zero_length_names_its_row(folder: Path) -> None:
    table = pa.table({"id": [1, 2, 3], "embedding": pa.array([None, [], [1.0]], VECTOR)})
    pq.write_table(table, folder / "a.parquet")
    assert refusal(folder) == f"{folder}/a.parquet, column 'embedding', row 1: the vector has zero length."


def test_vectors_that_are_all_null_are_refused(folder: Path) -> None:
    pq.write_table(pa.table({"id": [1, 2], "embedding": pa.array([None, None], VECTOR)}), folder / "a.parquet")
    assert refusal(folder) == f"The input {folder}, column 'embedding' holds only nulls."


def test_a_file_that_is_no_parquet_is_named_among_good_ones(folder: Path) -> None:
    pq.write_table(rows([1]), folder / "a.parquet")
    (folder / "b.parquet").write_bytes((folder / "a.parquet").read_bytes()[:-30])
    assert refusal(folder).startswith(f"{folder}/b.parquet is no readable Parquet file: ")


def test_ids_lose_their_encoding_and_keep_their_values() -> None:
    assert plain_ids(pa.chunked_array([pa.array(["a", "b", "a"]).dictionary_encode()])).to_pylist() == ["a", "b", "a"]
    assert plain_ids(pa.chunked_array([pa.array([b"ab"], pa.binary(2))])).type == pa.binary()


KINDS = [pa.list_, pa.large_list, lambda value: pa.list_(value, 3)]


def read(column, width=3):
    return read_vectors(column, width, "here", 100)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "value", [pa.float16(), pa.float32(), pa.float64(), pa.int8(), pa.uint8(), pa.int32(), pa.int64()]
)
def test_every_list_of_numbers_is_read_with_nulls_marked(kind, value):
    number = np.float16 if value == pa.float16() else int
    rows = [[1, 2, 3], None, [4, None, 6], [7, 8, 9]]
    column = pa.array([row and [v if v is None else number(v) for v in row] for row in rows], kind(value))
    values, null = read(column)
    assert null.tolist() == [False, True, True, False]
    assert values.dtype.kind == "f"
    assert values[[0, 3]].tolist() == [[1, 2, 3], [7, 8, 9]]
    assert values[1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_slices_are_read_from_where_they_start(kind):
    rows = [[float(i), 0.5, None if i == 6 else -1.0] if i % 4 else None for i in range(20)]
    column = pa.array(rows, kind(pa.float32()))
    for start, length in ((0, 20), (3, 9), (5, 1), (8, 1), (19, 1), (4, 0)):
        values, null = read(column.slice(start, length))
        part = rows[start : start + length]
        assert values.shape == (length, 3)
        assert null.tolist() == [row is None or None in row for row in part]
        good = [row for row in part if row and None not in row]
        assert values[~null].tolist() == good


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_only_nulls_is_all_marked(kind):
    values, null = read(pa.array([None, None], kind(pa.float32())))
    assert null.tolist() == [True, True]
    assert values.tolist() == [[0, 0, 0]] * 2


def test_double_precision_is_kept_where_the_input_has_it():
    values, _ = read(pa.array([[1e200, 1 / 3, 1.0]], pa.list_(pa.float64())))
    assert values.tolist() == [[1e200, 1 / 3, 1.0]]


def test_integers_beyond_single_precision_are_read():
    values, null = read(pa.array([[2**24 + 1, 1, -(2**30)], [2**62, 0, 1]], pa.list_(pa.int64())))
    assert null.tolist() == [False, False]
    assert values.tolist() == [[2**24 + 1, 1, -(2**30)], [2.0**62, 0, 1]]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[1.0, 2, 3], None, [1.0, 2]], "here, row 102: the vector has length 2, the first one has 3"),
        ([[1.0, 2, 3], [1.0, 2, 3, 4], []], "here, row 101: the vector has length 4, the first one has 3"),
        ([None, []], "here, row 101: the vector has zero length, the first one has 3"),
    ],
)
def test_a_vector_of_another_length_is_named_by_its_row(rows, words):
    for kind in (pa.list_, pa.large_list):
        with pytest.raises(InputError, match=words):
            read(pa.array(rows, kind(pa.float32())))


def test_fixed_size_lists_of_another_width_are_refused():
    column = pa.array([None, [1.0, 2.0]], pa.list_(pa.float32(), 2))
    with pytest.raises(InputError, match="here, row 101: the vector has length 2, the first one has 3"):
        read(column)
    with pytest.raises(InputError, match="row 100: the vector has zero length"):
        read(pa.array([[], []], pa.list_(pa.float32(), 0)))


def test_an_encrypted_file_without_an_ending_is_no_file_to_leave_out(folder: Path) -> None:
    pq.write_table(rows([1], pa.int64()), folder / "a.parquet")
    (folder / "encrypted").write_bytes(b"PARE" + b"\0" * 40 + b"PARE")
    assert [file.path for file in describe_input(str(folder)).files] == ["a.parquet", "encrypted"]


def write_file(path: Path, rows: list[Any], ids: Any = None) -> None:
    columns = {} if ids is None else {"id": ids}
    pq.write_table(pa.table({**columns, "embedding": pa.array(rows, pa.list_(pa.float32()))}), path)


def test_rows_are_those_of_all_files_and_are_named_by_theirs(tmp_path: Path) -> None:
    write_file(tmp_path / "a.parquet", [[1.0, 2.0], [3.0, 4.0]], pa.array([1, 2], pa.int32()))
    write_file(tmp_path / "b.parquet", [], pa.array([], pa.string()))
    write_file(tmp_path / "c.parquet", [[5.0, 6.0]], pa.array([3], pa.int64()))
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
    write_file(tmp_path / "a.parquet", [[1.0, 2.0]], [1])
    write_file(tmp_path / "b.parquet", rows, ids)
    with pytest.raises(InputError, match=words):
        read_rows(str(tmp_path), "id", "embedding")


def test_an_input_without_rows_is_refused(tmp_path: Path) -> None:
    write_file(tmp_path / "a.parquet", [], [])
    with pytest.raises(InputError, match="has no rows"):
        read_rows(str(tmp_path), "id", "embedding")
