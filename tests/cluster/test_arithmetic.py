"""Equal labels on a cluster of two kinds of processors, whichever computes a shard."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from support.cluster_jobs import slow_job
from support.command_line import call
from support.raylets import raylets
from support.runs import labels

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

LAST_DIGITS = 1e-3
"""By which strengths may differ: processors of two kinds round sums differently. Precision alone makes 0.16."""
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
    one, many = labels(output), labels(tmp_path / "run")
    for name in ("id", "cluster_id", "is_outlier", "is_representative", "cluster_size", "runner_up"):
        assert many[name].equals(one[name]), name
    strength = np.abs(many["strength"].to_numpy() - one["strength"].to_numpy())
    assert np.nanmax(strength) < LAST_DIGITS
