"""Copies are freed on the nodes of a cluster, by a task on each."""

from pathlib import Path

import pytest
import ray

from raycluster.executors.node_copies import free_copies
from raycluster.executors.ray_data import connect
from raycluster.storage import scratch


def test_every_node_frees_the_copies_that_no_stage_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path))
    assert ray.is_initialized() or free_copies("run") == 0, "a process without a cluster asks nobody"
    ray.shutdown()
    connect()  # workers of this Ray inherit the scratch folder
    try:
        folder = Path(scratch.hold("run"))
        for name in ("f00d-knn-neighbor-None.npy", "f00d-knn-neighbor-None.npy.json", "beef-topk-k-int64.npy"):
            (folder / name).write_bytes(b"")
        assert free_copies("run", ["beef-"], ["f00d-knn-"]) == 1, "this node is the driver's"
        assert sorted(path.name for path in folder.iterdir()) == [
            "f00d-knn-neighbor-None.npy",
            "f00d-knn-neighbor-None.npy.json",
        ]
        assert free_copies("run") == 1
        assert not folder.exists()
    finally:
        scratch.remove("run")
        ray.shutdown()
