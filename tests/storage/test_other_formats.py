"""Files that are no Parquet: each is named with what converts it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.errors import InputError
from raycluster.storage.other_formats import remedy_for
from raycluster.storage.parquet_input import input_files, read_rows


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x.NPY", "import-features --features"),
        ("s3://b/x.fvecs", "import-features --features"),
        ("x.npz", "save its array as .npy"),
        ("x.csv", "pandas.read_csv(FILE).to_parquet"),
        ("x.jsonl", "pandas.read_json"),
    ],
)
def test_the_ending_names_the_remedy(name: str, words: str) -> None:
    assert words in remedy_for(name)


@pytest.mark.parametrize("name", ["x.parquet", "x", "csv", "x.txt"])
def test_other_endings_name_none(name: str) -> None:
    assert remedy_for(name) == ""


def test_a_file_and_a_folder_are_refused_with_it(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"numbers")
    with pytest.raises(InputError, match=r"x\.npy is no readable Parquet file: .*import-features.* converts it\.$"):
        read_rows(str(tmp_path / "x.npy"), "id", "embedding")
    with pytest.raises(InputError, match=r"holds no Parquet file, but x\.npy; .*import-features.* converts it\.$"):
        input_files(str(tmp_path))


@pytest.mark.parametrize("name", ["Embedding", "vector"])
def test_the_column_that_is_meant_is_named(tmp_path: Path, name: str) -> None:
    pq.write_table(pa.table({"id": [1], "tags": [["a"]], name: [[1.0, 2.0]]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=f"has no column 'embedding'; --embedding-column '{name}' reads its vectors"):
        read_rows(str(tmp_path / "x.parquet"), "id", "embedding")
