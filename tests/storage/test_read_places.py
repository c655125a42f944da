"""A run is never written where its input is read, however the input names the place."""

from pathlib import Path

import pytest

from raycluster.storage.read_places import is_read


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files in a folder, and a folder beside it that a link in the first leads to."""
    for name in ("in/a.parquet", "in/sub/b.parquet", "beside/c.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"PAR1")
    (tmp_path / "in/link").symlink_to(tmp_path / "beside")
    (tmp_path / "in/sub/up").symlink_to(tmp_path / "in")
    (tmp_path / "other").symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("output", "url"),
    [
        ("in/run", "in"),
        ("in/run", "in/*"),
        ("in/run.parquet", "in/*.parquet"),
        ("in/run", "in/*/*.parquet"),
        ("in/sub/run", "in/**/*.parquet"),
        ("in/sub/run", "i*"),
        ("other/run", "in/*"),
        ("in/run", "other/*"),
        ("beside/run", "in"),
        ("beside/run", "i?"),
        ("beside/run", "in/l*"),
        ("beside", "in"),
        ("s3://bucket/in/run", "s3://bucket/in"),
    ],
)
def test_what_an_input_reads_is_no_output(output: str, url: str) -> None:
    assert is_read(output, url)


@pytest.mark.parametrize(
    ("output", "url"),
    [
        ("run", "in"),
        ("in-run", "in"),
        ("in/run", "in/*.parquet"),
        ("in/run", "in/a.parquet"),
        ("run", "in/**/*.parquet"),
        ("run2", "run[1]"),
        ("beside/run", "in/sub"),
    ],
)
def test_a_place_beside_what_an_input_reads_is_an_output(output: str, url: str) -> None:
    if url == "in/sub":
        Path("in/sub/up").unlink()
    assert not is_read(output, url)
