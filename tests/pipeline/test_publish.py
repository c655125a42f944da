"""What a finished run publishes: labels and clusters first, the manifest last, and no row lost."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.executors.progress import Silence
from raycluster.pipeline.publish import ids_at, publish
from raycluster.pipeline.run import open_run, opened, run_stages
from raycluster.storage.object_store import Store
from raycluster.storage.stored_tables import StoredTables
from support import labelled

CONFIG = load_config(
    "cosine", {"knn": {"k": 5}, "edges": {"threshold": 0.6}, "embeddings": {"on_bad_row": "drop"}}, "test"
)


@pytest.fixture
def finished(tmp_path: Path) -> StoredTables:
    """A run of three shards whose stages are done, and of whose rows two were dropped."""
    source = labelled.written(tmp_path)
    table = pq.read_table(source)
    vectors = table["embedding"].to_pylist()
    vectors[4], vectors[50] = [0.0] * 16, [float("nan")] * 16
    pq.write_table(table.set_column(1, "embedding", pa.array(vectors, table["embedding"].type)), source)
    url, execution = str(tmp_path / "run"), Execution("local", shards=3)
    with opened(source, url, CONFIG, execution, Silence()) as tables:
        run_stages(tables, execution, Silence())
    return open_run(url)


def test_labels_hold_every_row_once_and_clusters_count_them(finished: StoredTables) -> None:
    summary = publish(finished, {"knn": 1.5})
    folder = Path(finished.folder.store.url)
    labels, clusters = pq.read_table(folder / "labels"), pq.read_table(folder / "clusters.parquet")
    assert labels["id"].to_pylist() == [row for row in range(labelled.ROWS) if row not in (4, 50)]
    assert sum(clusters["size"].to_pylist()) == labels.num_rows == summary["rows"] == finished.rows
    assert summary["dropped"] == 2
    assert summary["seconds"] == {"knn": 1.5}
    dropped = pq.read_table(folder / "dropped.parquet").to_pylist()
    assert [(row["id"], row["row"], row["reason"]) for row in dropped] == [
        (4, 4, "only zeros"),
        (50, 50, "NaN or infinity"),
    ]


def test_ids_of_rows_come_in_the_order_of_the_rows(finished: StoredTables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycluster.pipeline.publish.IDS_PER_CHUNK", 7)
    ids = [row for row in range(labelled.ROWS) if row not in (4, 50)]
    rows = np.random.default_rng(0).integers(0, len(ids), 40)
    taken = ids_at(finished, rows)
    assert taken.to_pylist() == [ids[row] for row in rows]
    assert taken.num_chunks == 6
    assert ids_at(finished, rows[:0]).to_pylist() == []


def test_the_manifest_names_every_part_with_its_rows_and_digest(finished: StoredTables) -> None:
    summary = publish(finished, {})
    folder = Path(finished.folder.store.url)
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    assert manifest["summary"] == summary
    assert manifest["config"]["knn"]["k"] == 5
    assert sum(part["rows"] for part in manifest["labels"]) == finished.rows
    for part in manifest["labels"]:
        assert hashlib.sha256((folder / part["path"]).read_bytes()).hexdigest() == part["sha256"]
        assert pq.read_metadata(folder / part["path"]).num_rows == part["rows"]


def test_the_manifest_is_written_last(finished: StoredTables, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def noting(name: str) -> None:
        method: Any = getattr(Store, name)

        def note(self: Store, path: str, *rest: Any) -> Any:
            written.append(rest[0] if name == "copy" else path)
            return method(self, path, *rest)

        monkeypatch.setattr(Store, name, note)

    for name in ("put", "put_tables", "copy"):
        noting(name)
    publish(finished, {})
    assert written[-1] == "MANIFEST.json"
    assert {"clusters.parquet", "dropped.parquet", "labels/part-00000.parquet"} <= set(written[:-1])


def test_a_run_that_lost_a_row_is_not_published(finished: StoredTables, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = finished.facts("embeddings")["starts"]
    monkeypatch.setattr(StoredTables, "bounds_of_all", [*starts[:-1], starts[-1] + 1])
    with pytest.raises(AssertionError, match="a row was lost or doubled"):
        publish(finished, {})
    assert not (Path(finished.folder.store.url) / "MANIFEST.json").exists()
