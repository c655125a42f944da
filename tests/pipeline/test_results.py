"""What a finished run published is read back, and nothing that only resembles it."""

import json
from pathlib import Path

import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.errors import InputError, StorageError
from raycluster.pipeline.results import Results
from raycluster.pipeline.run import cluster
from support import labelled

CONFIG = load_config("cosine", {"knn": {"k": 5}, "edges": {"threshold": 0.6}}, "test")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two shards."""
    folder = tmp_path_factory.mktemp("results")
    cluster(labelled.written(folder), str(folder / "run"), CONFIG, Execution("local", shards=2))
    return folder / "run"


def test_labels_of_all_parts_are_one_table_in_the_order_of_rows(finished: Path) -> None:
    results = Results.of(str(finished))
    assert len(results.manifest["labels"]) == 2
    labels = results.labels(["id", "cluster_id"])
    assert labels.column_names == ["id", "cluster_id"]
    assert labels["id"].to_pylist() == list(range(labelled.ROWS))


def test_a_folder_without_a_manifest_is_no_finished_run(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    with pytest.raises(InputError) as caught:
        Results.of(str(tmp_path))
    assert str(caught.value) == f"{tmp_path} holds no finished run: there is no MANIFEST.json."


@pytest.mark.parametrize("change", ["missing", "changed"])
def test_a_part_that_is_missing_or_changed_is_refused(finished: Path, tmp_path: Path, change: str) -> None:
    manifest = json.loads((finished / "MANIFEST.json").read_text())
    (tmp_path / "MANIFEST.json").write_text(json.dumps(manifest))
    for part in manifest["labels"]:
        path = tmp_path / part["path"]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((finished / part["path"]).read_bytes())
    if change == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StorageError, match=r"labels/part-00001\.parquet (is missing|was changed or damaged)"):
        Results.of(str(tmp_path)).labels()
