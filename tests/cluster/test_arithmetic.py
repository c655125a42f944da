"""Equal labels on a cluster of two kinds of processors, whichever computes a shard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.cluster_jobs import FAULTLESS, faults, slow_job
from support.command_line import call
from support.raylets import raylets

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

WORDS = ("--recipe", "auto", "--shards", "6", "--knn.k", "20")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_kinds_of_processors_and_a_forced_precision_give_the_labels_of_one(
    identities: str, tmp_path: Path, precision: str
) -> None:
    words = (*WORDS, "--precision", precision)
    output = tmp_path / "expected"
    assert call("cluster", identities, "--output", str(output), "--executor", "local", *words).code == 0
    with raylets(tmp_path / "cluster", nodes=1) as cluster:
        cluster.add("avx2", env={"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"})
        slow = "topk,relations"
        with slow_job(cluster, identities, tmp_path / "run", *words, slow=slow, seconds=2.0) as job:
            assert job.finished(500) == 0, job.text()
    found = json.loads((tmp_path / "run" / "MANIFEST.json").read_bytes())["workers"]
    print(precision, found["shards_by_node"])
    assert found["precision"] == precision
    assert {"127.0.0.11", "127.0.0.12"} <= found["shards_by_node"].keys()
    assert faults(tmp_path / "run", output, identities) == FAULTLESS
