"""Identities as folders of links."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raycluster.errors import InputError
from raycluster.pipeline.link_folders import write_folders


def links(folder: Path, paths: Any, cluster: list[int | None] | None = None) -> dict[str, str]:
    """Targets by folder and name."""
    table = pa.table({"file": paths, "c": cluster or [1] * len(paths), "n": [2] * len(paths)})
    write_folders(iter([table]), folder, "file", "c", "n")
    return {str(path.relative_to(folder)): str(path.readlink()) for path in folder.rglob("*") if path.is_symlink()}


def test_files_of_one_name_get_a_number_and_rows_without_a_file_or_a_cluster_none(tmp_path: Path) -> None:
    found = links(tmp_path, ["/a/x.jpg", "/b/x.jpg", None, "", "/c.jpg"], [1, 1, 1, 1, None])
    assert found == {"00000001/x.jpg": "/a/x.jpg", "00000001/x-2.jpg": "/b/x.jpg"}


@pytest.mark.parametrize("path", ["s3://bucket/a.jpg", "/", "a\0b", "x" * 300])
def test_what_a_link_cannot_lead_to_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match="links lead to local files alone"):
        links(tmp_path, [path])


@pytest.mark.parametrize("paths", [[b"a.jpg"], [{"path": "a.jpg"}], [3]])
def test_paths_are_text(tmp_path: Path, paths: list[Any]) -> None:
    with pytest.raises(InputError, match="paths of files are text"):
        links(tmp_path, paths)


def test_links_that_lead_to_no_file_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "here.jpg").touch()
    links(tmp_path / "out", [str(tmp_path / "here.jpg"), str(tmp_path / "gone.jpg")])
    assert "1 of 2 links lead to no file" in capsys.readouterr().err
