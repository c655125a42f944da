"""The user's items by id."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.errors import InputError
from raycluster.review import items as items_module
from raycluster.review.items import MOST_CHARACTERS, Item, ItemOptions, Items, short_text


def written(path, /, group=2, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=group)
    return str(path)


def test_items_are_looked_up_by_id_in_any_order_of_files(tmp_path):
    written(tmp_path / "a.parquet", id=[5, 3, 9], title=["five", "three", "nine"], path=["5.png", None, "9.png"])
    written(tmp_path / "b.parquet", id=[1, 2], title=["one", None], path=["", "2.png"])
    items = Items(ItemOptions(str(tmp_path), "id", image_column="path", text_column="title"))
    assert items.look_up(pa.array([9, 1, 2, 77])) == {
        9: Item("nine", "9.png"),
        1: Item("one", None),
        2: Item(None, "2.png"),
    }


def test_only_row_groups_with_ids_to_show_are_decoded(tmp_path, monkeypatch):
    path = written(tmp_path / "a.parquet", id=list(range(8)), title=[str(number) for number in range(8)])
    read, groups = pq.ParquetFile.iter_batches, []

    def counted(file, size, row_groups, columns):
        groups.append((*row_groups, *columns))
        return read(file, size, row_groups=row_groups, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    found = Items(ItemOptions(path, "id", text_column="title")).look_up(pa.array([4, 5]))
    assert ({key: item.text for key, item in found.items()}, groups) == ({4: "4", 5: "5"}, [(2, "title")])


def test_batches_are_smaller_than_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(items_module, "BATCH_ROWS", 3)
    path = written(tmp_path / "a.parquet", 10, id=list(range(10)), title=[f"t{number}" for number in range(10)])
    found = Items(ItemOptions(path, "id", text_column="title")).look_up(pa.array([9, 0, 4]))
    assert {key: item.text for key, item in found.items()} == {0: "t0", 4: "t4", 9: "t9"}


def test_structs_of_bytes_and_path(tmp_path):
    path = written(
        tmp_path / "a.parquet", id=["x", "y"], image=[{"bytes": b"1", "path": "p"}, {"bytes": None, "path": "q"}]
    )
    found = Items(ItemOptions(path, "id", image_column="image")).look_up(pa.array(["x", "y"]))
    assert [found[key].picture for key in ("x", "y")] == [b"1", "q"]


def test_ids_of_numbered_runs_are_rows_of_their_input(tmp_path):
    path = written(tmp_path / "a.parquet", title=["zero", "one", "two"])
    found = Items(ItemOptions(path, "id", text_column="title", is_numbered=True)).look_up(pa.array([2, 0]))
    assert {key: item.text for key, item in found.items()} == {0: "zero", 2: "two"}
    with pytest.raises(InputError, match="no column 'id'"):
        Items(ItemOptions(path, "id", text_column="title"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text_column": "titel"}, "no column 'titel'"),
        ({"text_column": "vector"}, "a text is a string or a number"),
        ({"image_column": "id"}, "pictures are paths, URLs, bytes, or structs"),
    ],
)
def test_columns_that_cannot_be_shown_are_refused(tmp_path, options, message):
    path = written(tmp_path / "a.parquet", id=[1], title=["a"], vector=[[1.0]])
    with pytest.raises(InputError, match=message):
        Items(ItemOptions(path, "id", **options))


def test_ids_of_another_type_are_refused(tmp_path):
    path = written(tmp_path / "a.parquet", id=["a"], title=["a"])
    with pytest.raises(InputError, match="the run's ids are int64"):
        Items(ItemOptions(path, "id", text_column="title")).look_up(pa.array([1]))


def test_a_text_is_one_short_line():
    assert short_text("a\n\tb\u202e<c>\0") == "a b <c>"
    assert short_text(b"\xff17") == "�17"
    assert len(short_text("word " * 100_000)) == MOST_CHARACTERS
    assert (short_text(None), short_text(12)) == (None, "12")


def test_the_root_of_pictures_is_the_folder_of_the_items(tmp_path):
    assert ItemOptions(str(tmp_path / "a.parquet"), "id").root == str(tmp_path)
    assert ItemOptions(str(tmp_path), "id").root == str(tmp_path)
    assert ItemOptions("s3://bucket/in/a.parquet", "id").root == "s3://bucket/in"
    assert ItemOptions("a.parquet", "id", image_root="s3://bucket/p/").root == "s3://bucket/p"
