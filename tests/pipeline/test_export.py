"""Labels beside the user's own columns: every row once, in the input's order, under names that clash with none."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.errors import InputError, StorageError
from raycluster.pipeline.export import Format, export
from raycluster.pipeline.run import cluster
from support import labelled

CONFIG = load_config(
    "cosine", {"knn": {"k": 5}, "edges": {"threshold": 0.6}, "embeddings": {"on_bad_row": "drop"}}, "test"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A finished run and its input, of whose rows one was dropped; a column is named as one of ours."""
    folder = tmp_path_factory.mktemp("export")
    source = labelled.written(folder)
    table = pq.read_table(source).append_column("strength", pa.array(["mine"] * labelled.ROWS))
    vectors = table["embedding"].to_pylist()
    vectors[7] = [0.0] * 16
    table = table.set_column(1, "embedding", pa.array(vectors, table["embedding"].type)).take(
        pa.array(range(119, -1, -1))
    )
    pq.write_table(table, source)
    cluster(source, str(folder / "run"), CONFIG, Execution("local", shards=2))
    return str(folder / "run"), source


def test_the_users_rows_keep_their_order_and_columns(finished: tuple[str, str], tmp_path: Path) -> None:
    run, source = finished
    assert export(run, str(tmp_path / "out.parquet"), "parquet", source) == labelled.ROWS
    table, labels = pq.read_table(tmp_path / "out.parquet"), pq.read_table(f"{run}/labels")
    assert table.select(pq.read_table(source).column_names).equals(pq.read_table(source))
    of_id = dict(zip(labels["id"].to_pylist(), labels["cluster_id"].to_pylist(), strict=True))
    assert table["cluster_id"].to_pylist() == [of_id.get(key) for key in range(119, -1, -1)]
    assert table["cluster_id"].null_count == 1
    assert set(table["strength"].to_pylist()) == {"mine"}
    assert table["raycluster_strength"].null_count >= 1


def test_without_an_input_the_labels_stand_alone(finished: tuple[str, str], tmp_path: Path) -> None:
    run, _ = finished
    assert export(run, str(tmp_path / "out.csv"), "csv") == labelled.ROWS - 1
    assert pyarrow.csv.read_csv(tmp_path / "out.csv")["id"].to_pylist() == [row for row in range(120) if row != 7]


def test_an_output_that_exists_or_an_input_without_ids_is_refused(finished: tuple[str, str], tmp_path: Path) -> None:
    run, _ = finished
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(InputError, match=r"out\.csv exists; choose another --output\."):
        export(run, str(tmp_path / "out.csv"), "csv")
    assert (tmp_path / "out.csv").read_text() == "mine"
    pq.write_table(pa.table({"name": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="has no column 'id'; it has name"):
        export(run, str(tmp_path / "new.csv"), "csv", str(tmp_path / "other.parquet"))
    assert not (tmp_path / "new.csv").exists()


def test_a_failure_leaves_nothing_behind(finished: tuple[str, str], tmp_path: Path) -> None:
    run, source = finished
    pq.write_table(pa.table({"id": [1], "file": ["s3://bucket/a.jpg"]}), tmp_path / "urls.parquet")
    pq.write_table(pa.table({"id": ["x"]}), tmp_path / "names.parquet")
    before = sorted(tmp_path.rglob("*"))
    for kind, path in (("folders", "urls"), ("parquet", "names"), ("csv", "names")):
        with pytest.raises(InputError, match=r"local files alone|run's ids are"):
            export(run, str(tmp_path / "new" / "out"), kind, f"{tmp_path}/{path}.parquet", "file")
    with pytest.raises(InputError, match="is no local path"):
        export(run, "s3://bucket/out.parquet", "parquet", source)
    with pytest.raises(InputError, match="lies below a file"):
        export(run, f"{source}/out.parquet", "parquet", source)
    assert sorted(tmp_path.rglob("*")) == before


def test_text_files_hold_bytes_in_hexadecimal_and_no_number_that_json_lacks(
    finished: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = finished
    cells = {"id": [1], "b": [b"\x01\xff"], "f": [float("nan")], "s": [{"a": 1}], "cluster_size": [0]}
    pq.write_table(pa.table(cells), tmp_path / "in.parquet")
    export(run, str(tmp_path / "out.jsonl"), "jsonl", str(tmp_path / "in.parquet"))
    row = json.loads((tmp_path / "out.jsonl").read_text())
    assert (row["b"], row["f"], row["cluster_size"]) == ("01ff", None, 0)
    assert row["raycluster_cluster_size"] > 0
    assert "s" not in row
    assert "a text file holds no lists: s" in capsys.readouterr().err


def test_own_columns_of_the_user_do_not_choose_the_folders(finished: tuple[str, str], tmp_path: Path) -> None:
    run, source = finished
    ids = pq.read_table(source)["id"].to_pylist()
    cells = {"id": ids, "cluster_id": [1] * len(ids), "cluster_size": [1] * len(ids), "file": [f"/{i}" for i in ids]}
    pq.write_table(pa.table(cells), tmp_path / "in.parquet")
    assert export(run, str(tmp_path / "people"), "folders", str(tmp_path / "in.parquet"), "file") > 100
    shown = {int(folder.name) for folder in (tmp_path / "people").iterdir()}
    clusters = pq.read_table(f"{run}/clusters.parquet")
    assert shown == set(clusters.filter(pa.compute.greater(clusters["size"], 1))["cluster_id"].to_pylist())


def test_no_rows_are_written_into_the_folder_that_is_read(finished: tuple[str, str], tmp_path: Path) -> None:
    run, source = finished
    folder = tmp_path / "in"
    folder.mkdir()
    pq.write_table(pq.read_table(source), folder / "a.parquet")
    for pattern, output in (("in", "in/out.parquet"), ("in/*.parquet", "in/b.parquet")):
        with pytest.raises(InputError, match="lies in the input"):
            export(run, str(tmp_path / output), "parquet", str(tmp_path / pattern))
    assert [path.name for path in folder.iterdir()] == ["a.parquet"]
    assert export(run, str(folder / "out.csv"), "csv", str(folder)) == labelled.ROWS


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full device")
def test_a_disk_that_fills_is_one_sentence_and_nothing_is_left(
    finished: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Format
) -> None:
    run, source = finished
    monkeypatch.setattr(Path, "with_name", lambda path, _: path.parent / "full")
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=f"The disk is full at .*out.{kind}; free space"):
        export(run, str(tmp_path / f"out.{kind}"), kind, input_url=source)
    assert list(tmp_path.iterdir()) == []


def test_rows_that_are_not_in_the_run_are_counted_and_a_foreign_input_is_refused(
    finished: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, source = finished
    export(run, str(tmp_path / "out.parquet"), "parquet", source)
    assert f"1 of {labelled.ROWS} rows are not in the run or were dropped" in capsys.readouterr().err
    table = pq.read_table(source)
    pq.write_table(table.set_column(0, "id", pa.array(range(500, 620))), tmp_path / "others.parquet")
    with pytest.raises(InputError, match=r"others\.parquet, column 'id' holds no id of the run"):
        export(run, str(tmp_path / "none.csv"), "csv", str(tmp_path / "others.parquet"))
    assert not (tmp_path / "none.csv").exists()
