"""The plan: which files count, what is refused, and every id's place in the order."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.storage.parquet_input import describe_input, encode_ranks, input_files, make_plan, plain_ids, pool

VECTOR = pa.list_(pa.float32())
Write = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "input"
    path.mkdir()
    return path


def rows(ids: Any, kind: pa.DataType | None = None, width: int = 2, vector: pa.DataType = VECTOR) -> pa.Table:
    """A table of these ids with some vectors."""
    ids = ids if isinstance(ids, pa.Array) else pa.array(ids, kind)
    vectors = [[1.0 + row, *[1.0] * (width - 1)] for row in range(len(ids))]
    return pa.table({"id": ids, "embedding": pa.array(vectors, vector)})


def plan_of(folder: Path, shards: int | None = None, config: Config | None = None) -> tuple[dict[str, Any], list[Any]]:
    return make_plan(config or Config(), describe_input(str(folder)), shards)


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        plan_of(folder)
    said = str(caught.value)
    assert "\n" not in said
    return said


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
    assert plan_of(folder / "faces")[0]["input"]["rows"] == 2


def test_missing_empty_and_parquetless_inputs_are_named(folder: Path) -> None:
    assert refusal(folder) == f"The input {folder} does not exist or is an empty folder."
    assert refusal(folder / "absent") == f"The input {folder}/absent does not exist or is an empty folder."
    (folder / "notes.txt").write_text("x")
    assert refusal(folder) == f"The input {folder} holds no file that ends in .parquet."


def test_the_description_is_equal_until_a_file_changes_or_comes(folder: Path) -> None:
    pq.write_table(rows([1, 2]), folder / "a.parquet")
    before = describe_input(str(folder))
    assert describe_input(f"{folder}/") == before
    os.utime(folder / "a.parquet", ns=(1, 1))
    changed = describe_input(str(folder))
    assert changed != before
    pq.write_table(rows([3]), folder / "b.parquet")
    assert describe_input(str(folder)) != changed


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ([30, -1], [7, 2], pa.int64()),
        ([2**64 - 1, 5], [0, 2**63], pa.uint64()),
        (["b", "a10"], ["ä", "a2"], pa.string()),
        (["b", "a10"], ["ä", "a2"], pa.large_string()),
        ([b"\xff", b""], [b"\x00", b"a"], pa.binary()),
        ([b"\xff\x00", b"ab"], [b"\x00\x00", b"b\x01"], pa.binary(2)),
    ],
)
def test_ranks_follow_the_order_of_the_ids_over_all_files(
    folder: Path, first: list[Any], second: list[Any], kind: pa.DataType
) -> None:
    pq.write_table(rows(first, kind), folder / "a.parquet")
    pq.write_table(rows(second, kind), folder / "b.parquet")
    key = (lambda text: text.encode()) if isinstance(first[0], str) else (lambda value: value)
    order = sorted([*first, *second], key=key)
    _, ranks = plan_of(folder)
    assert [rank.tolist() for rank in ranks] == [[order.index(one) for one in ids] for ids in (first, second)]
    assert all(rank.dtype == np.int64 for rank in ranks)


def test_dictionary_ids_rank_by_value_and_not_by_code(folder: Path) -> None:
    pq.write_table(rows(pa.array(["z", "a", "m"]).dictionary_encode()), folder / "a.parquet")
    plan, ranks = plan_of(folder)
    assert ranks[0].tolist() == [2, 0, 1]
    assert plan["input"]["id_type"] == "string"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30, unique=True), st.integers(1, 4), st.data())
def test_the_rank_of_an_id_does_not_depend_on_how_files_and_row_groups_cut_the_rows(
    tmp_path_factory: pytest.TempPathFactory, ids: list[int], files: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(ids)), min_size=files - 1, max_size=files - 1)))
    parts = [ids[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(ids)], strict=True)]
    for number, part in enumerate(parts):
        pq.write_table(
            rows(part, pa.int64()), folder / f"{number}.parquet", row_group_size=data.draw(st.integers(1, 9))
        )
    plan, ranks = plan_of(folder)
    found = {}
    for piece, rank in zip(plan["pieces"], ranks, strict=True):
        part = parts[piece["file"]][piece["first_row"] : piece["first_row"] + piece["rows"]]
        found.update(zip(part, rank.tolist(), strict=True))
    assert found == {one: place for place, one in enumerate(sorted(ids))}


def test_pieces_cover_every_row_once_in_runs_of_row_groups(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycluster.storage.parquet_input.SHARD_BYTES", 4 * 2 * 10)
    pq.write_table(rows(range(47)), folder / "a.parquet", row_group_size=4)
    pq.write_table(rows(range(100, 125)), folder / "b.parquet", row_group_size=25)
    plan, ranks = plan_of(folder)
    assert plan["shards"] == 8
    assert [piece["rows"] for piece in plan["pieces"]] == [8, 8, 8, 8, 8, 7, 25]
    groups = [(piece["file"], group) for piece in plan["pieces"] for group in piece["groups"]]
    assert groups == [(0, group) for group in range(12)] + [(1, 0)]
    for piece, rank in zip(plan["pieces"], ranks, strict=True):
        assert len(rank) == piece["rows"]
        first = 47 * piece["file"] + piece["first_row"]
        assert rank.tolist() == list(range(first, first + piece["rows"]))


def test_empty_files_and_row_groups_yield_no_piece_and_hurt_nothing(folder: Path) -> None:
    pq.write_table(rows([], pa.int64()), folder / "a.parquet")
    with pq.ParquetWriter(folder / "b.parquet", rows([1]).schema) as writer:
        for ids in ([], [5, 3], [], [4]):
            writer.write_table(rows(ids, pa.int64()))
    plan, ranks = plan_of(folder)
    assert plan["input"]["rows"] == 3
    assert np.concatenate(ranks).tolist() == [2, 0, 1]
    assert {piece["file"] for piece in plan["pieces"]} == {1}


def test_an_input_without_any_row_is_refused(folder: Path) -> None:
    pq.write_table(rows([], pa.int64()), folder / "a.parquet")
    assert refusal(folder) == f"The input {folder} has no rows."


def test_there_are_never_more_shards_than_rows_and_else_as_many_as_asked_for(folder: Path) -> None:
    pq.write_table(rows([1, 2, 3]), folder / "a.parquet")
    assert plan_of(folder)[0]["shards"] == 1
    assert plan_of(folder, 2)[0]["shards"] == 2
    assert plan_of(folder, 9)[0]["shards"] == 3


def test_an_id_twice_names_both_files_and_rows(folder: Path) -> None:
    pq.write_table(rows([5, 6, 7]), folder / "a.parquet", row_group_size=1)
    pq.write_table(rows([8, 6]), folder / "b.parquet")
    assert refusal(folder) == (
        f"Column 'id' holds the id 6 twice: in {folder}/a.parquet row 1 and in {folder}/b.parquet row 1."
    )


def test_an_id_twice_in_one_file_names_both_rows_in_order(folder: Path) -> None:
    pq.write_table(rows(["x", "p", "q", "p"]), folder / "a.parquet")
    assert refusal(folder / "a.parquet") == (
        f"Column 'id' holds the id 'p' twice: in {folder}/a.parquet row 1 and in {folder}/a.parquet row 3."
    )


def test_ids_of_two_types_are_refused_with_both_files(folder: Path) -> None:
    pq.write_table(rows([1, 2]), folder / "a.parquet")
    pq.write_table(rows(["1", "2"]), folder / "b.parquet")
    assert refusal(folder) == (f"{folder}/b.parquet, column 'id' is string, but in {folder}/a.parquet it is int64.")


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
    [
        pa.array([1.0]),
        pa.array(["a"]),
        pa.array([["a"]]),
        pa.array([[[1.0]]]),
        pa.array([[True]]),
        pa.array([{"x": 1.0}]),
    ],
)
def test_embeddings_of_an_unusable_type_are_refused_by_name(folder: Path, column: pa.Array) -> None:
    pq.write_table(pa.table({"id": [1], "embedding": column}), folder / "a.parquet")
    assert refusal(folder).startswith(f"{folder}/a.parquet, column 'embedding' is ")
    assert refusal(folder).endswith("embeddings are lists of floats.")


@pytest.mark.parametrize("missing", ["id", "embedding"])
def test_a_missing_column_is_named_with_those_there_are(folder: Path, missing: str) -> None:
    table = rows([1]).drop_columns([missing]).append_column("other", pa.array([1]))
    pq.write_table(table, folder / "a.parquet")
    have = ", ".join(table.column_names)
    assert refusal(folder) == f"{folder}/a.parquet has no column '{missing}'; it has {have}."


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
        (pa.field("embedding", TENSOR.type), TENSOR),
        (pa.field("unused", TENSOR.type), TENSOR),
        (pa.field("id", pa.uuid()), pa.array([b"0" * 16], pa.uuid())),
        (pa.field("unused", pa.uuid()), pa.array([b"0" * 16], pa.uuid())),
        (pa.field("unused", pa.json_()), pa.array(["{}"], pa.json_())),
        (marked("unused", pa.binary()), pa.array([b"x"])),
        (marked("embedding", VECTOR), pa.array([[1.0, 2.0]], VECTOR)),
        (pa.field("unused", pa.list_(marked("element", pa.int64()))), pa.array([[1]])),
        (pa.field("unused", pa.struct([marked("inner", pa.int64())])), pa.array([{"inner": 1}])),
    ],
    ids=str,
)
def test_an_extension_type_in_any_column_is_refused_even_where_it_is_nested_or_not_used(
    folder: Path, field: pa.Field, values: Any
) -> None:
    columns = {"id": pa.array([1]), "embedding": pa.array([[1.0, 2.0]], VECTOR)}
    columns[field.name] = values if isinstance(values.type, pa.BaseExtensionType) else values.cast(field.type)
    fields = [field if name == field.name else pa.field(name, column.type) for name, column in columns.items()]
    pq.write_table(pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields)), folder / "a.parquet")
    said = refusal(folder)
    assert said.startswith(f"{folder}/a.parquet, column '{field.name}' has an extension type")


def test_the_width_is_that_of_the_first_vector_there_is(folder: Path) -> None:
    table = pa.table({"id": [1, 2, 3], "embedding": pa.array([None, None, [1.0, 2.0, 3.0]], VECTOR)})
    pq.write_table(table, folder / "b.parquet")
    pq.write_table(pa.table({"id": [4], "embedding": pa.array([None], VECTOR)}), folder / "a.parquet")
    assert plan_of(folder)[0]["input"]["width"] == 3


@pytest.mark.parametrize(
    "kind", [VECTOR, pa.large_list(pa.float64()), pa.list_(pa.float32(), 4), pa.list_(pa.float16())]
)
def test_every_kind_of_list_has_a_width(folder: Path, kind: pa.DataType) -> None:
    values = [np.float16(1)] * 4 if kind.value_type == pa.float16() else [1.0] * 4
    pq.write_table(pa.table({"id": [1], "embedding": pa.array([values], kind)}), folder / "a.parquet")
    assert plan_of(folder)[0]["input"]["width"] == 4


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


def test_ranks_are_stored_as_a_plain_array() -> None:
    data = encode_ranks(np.array([2, 0, 1], np.int64))
    assert data.startswith(b"\x93NUMPY")
    assert np.frombuffer(data[-24:], np.int64).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("shards", "workers", "nodes", "room", "smallest", "expected"),
    [
        (100, None, 4, 128, 32, (100, 1)),
        (8, None, 4, 128, 32, (8, 16)),
        (100, 4, 4, 128, 32, (4, 32)),
        (100, None, 16, 16, 16, (16, 16)),
        (3, None, 0, 0, 1, (3, 1)),
    ],
    ids=["a worker a core", "few shards", "a worker a node", "a worker a GPU", "no node yet"],
)
def test_workers_fill_the_nodes_and_share_their_cores(
    shards: int, workers: int | None, nodes: int, room: int, smallest: int, expected: tuple[int, int]
) -> None:
    assert pool(shards, workers, nodes, room, smallest) == expected
