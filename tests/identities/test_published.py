"""What readers see of an update."""

import json

import numpy as np
import pyarrow.parquet as pq

from raycluster.identities import published as module
from raycluster.identities.inheritance import NO_ID
from raycluster.identities.published import published
from raycluster.storage.object_store import Store
from support.living import BASE, ROWS, base, updated


def test_labels_clusters_and_lineage(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_PART", 100)
    found = updated(base(), range(BASE, ROWS), removed=[0, 1])
    summary = published(Store(str(tmp_path)), found, {"run": "here"})
    parts = sorted((tmp_path / "labels").glob("*.parquet"))
    table = pq.read_table(parts)
    state = found.state
    alive = np.flatnonzero(state.is_alive)
    assert len(parts) == 3
    assert table["id"].to_pylist() == alive.tolist()
    np.testing.assert_array_equal(table["cluster_id"].fill_null(NO_ID).to_numpy(), state.row_id[alive])
    size = dict(zip(*np.unique(state.row_id[alive], return_counts=True), strict=True))
    alone = state.row_id[alive] == NO_ID
    expected = [1 if name == NO_ID else size[name] for name in state.row_id[alive]]
    assert table["cluster_size"].to_pylist() == expected
    assert np.array(table["strength"])[alone].tolist() == [1.0] * alone.sum()
    clusters = pq.read_table(tmp_path / "clusters.parquet")
    assert clusters["cluster_id"].to_pylist() == sorted(set(size) - {NO_ID})
    named = dict(zip(table["id"].to_pylist(), table["cluster_id"].to_pylist(), strict=True))
    assert [named[row] for row in clusters["representative"].to_pylist()] == clusters["cluster_id"].to_pylist()
    assert summary == {
        "run": "here",
        "rows": len(alive),
        "clusters": clusters.num_rows,
        "singletons": int(alone.sum()),
        "outliers": int(np.array(table["is_outlier"]).sum()),
    }
    manifest = json.loads((tmp_path / "MANIFEST.json").read_text())
    assert [part["rows"] for part in manifest["labels"]] == [100, 100, 98]
    assert pq.read_table(tmp_path / "lineage.parquet").num_rows == found.events.num_rows
