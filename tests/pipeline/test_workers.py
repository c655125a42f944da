"""The manifest has who computed a run: arithmetic, versions, nodes and the slowest shards."""

import json
from pathlib import Path

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.executors.node_report import versions
from raycluster.pipeline.run import cluster
from raycluster.pipeline.workers import SLOWEST
from support import labelled


def test_the_manifest_names_arithmetic_versions_nodes_and_slowest_shards(tmp_path: Path) -> None:
    config = load_config("cosine", {"knn": {"k": 5}, "edges": {"threshold": 0.5}}, "test")
    cluster(
        labelled.written(tmp_path), str(tmp_path / "run"), config, Execution("local", shards=4, precision="float32")
    )
    found = json.loads((tmp_path / "run" / "MANIFEST.json").read_bytes())["workers"]
    assert (found["precision"], found["device"]) == ("float32", "cpu")
    assert found["versions"] == versions()
    assert found["shards_by_node"].keys() == {"driver"}
    seconds = [shard["seconds"] for shard in found["slowest"]]
    assert len(seconds) == SLOWEST
    assert seconds == sorted(seconds, reverse=True)
