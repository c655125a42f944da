"""What is ours in a run folder is removed by its name; anything else stays."""

from pathlib import Path

import pytest

from raycluster.errors import ConfigError
from raycluster.pipeline.own_objects import OWN_OF_STAGE, require_unused, take_back
from raycluster.storage.object_store import Store
from raycluster.storage.records import encode


def store_of(folder: Path, *names: str) -> Store:
    """A folder that holds these objects."""
    store = Store(str(folder))
    for name in names:
        store.put(name, b"")
    return store


def test_an_empty_folder_and_what_a_killed_start_left_are_unused(tmp_path: Path) -> None:
    require_unused(store_of(tmp_path / "empty"))
    require_unused(store_of(tmp_path / "killed", f"plan.json.{32 * '0'}.tmp"))


@pytest.mark.parametrize("name", ["notes.txt", "MANIFEST.json", "stages/ingest/mine.npy"])
def test_a_folder_that_holds_anything_else_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="choose an empty --output"):
        require_unused(store_of(tmp_path, name))


def test_taking_back_removes_what_was_published_and_nothing_else(tmp_path: Path) -> None:
    store = store_of(tmp_path, "labels/part-00000.parquet", "labels/mine.parquet", "clusters.parquet", "notes.txt")
    store.put("MANIFEST.json", encode({"labels": [{"path": "labels/part-00000.parquet"}]}))
    take_back(store)
    assert store.files() == ["labels/mine.parquet", "notes.txt"]


def test_taking_back_goes_by_names_where_the_manifest_is_damaged(tmp_path: Path) -> None:
    take_back(store_of(tmp_path, "labels/part-00000.parquet", "labels/mine.parquet", "MANIFEST.json"))
    assert Store(str(tmp_path)).files() == ["labels/mine.parquet"]


def test_names_of_stages_are_exact() -> None:
    folder = "stages/knn/0123456789ab"
    ours = ["part-00000-0123abcd.parquet", "done/00000.json", "facts.json", "markers.json", "centroids.npy"]
    assert all(OWN_OF_STAGE.fullmatch(f"{folder}/{name}") for name in ours)
    assert not any(OWN_OF_STAGE.fullmatch(f"{folder}/{name}") for name in ("figure.png", "done/notes.json", "part-1"))
