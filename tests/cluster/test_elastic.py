"""Nodes that come late get work, shards that are late get a second copy, and what never comes is named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from support.cluster_jobs import FAULTLESS, faults, slow_job
from support.raylets import Raylets, raylets, until
from support.runs import SETTINGS, here

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture
def expected(identities: str, tmp_path: Path) -> Path:
    """The same run in one process."""
    assert here(identities, str(tmp_path / "expected")).code == 0
    return tmp_path / "expected"


def nodes_of(output: Path, stage: str) -> Counter[str]:
    """Shards of a stage by the address of the node that computed them."""
    markers = [json.loads(path.read_bytes()) for path in output.glob(f"stages/{stage}/*/done/*.json")]
    return Counter(marker["facts"]["node"] for marker in markers)


def test_nodes_that_join_in_the_middle_of_a_stage_do_a_third_of_what_was_left(
    identities: str, tmp_path: Path, expected: Path
) -> None:
    with (
        raylets(tmp_path / "cluster", nodes=1) as cluster,
        slow_job(cluster, identities, tmp_path / "run", "--shards", "24", *SETTINGS, slow="knn", seconds=4.0) as job,
    ):
        job.until_marked("knn", 2)
        for name in ("late0", "late1"):
            cluster.add(name)
        left = 24 - job.marked("knn")
        assert job.finished() == 0, job.text()
        found = nodes_of(tmp_path / "run", "knn")
        print(f"left when both nodes were there: {left}; shards by node: {dict(found)}")
        assert found["127.0.0.12"] + found["127.0.0.13"] >= left / 3
    assert faults(tmp_path / "run", expected, identities) == FAULTLESS


def test_a_late_shard_gets_a_second_copy_and_the_stage_ends_with_the_first(
    identities: str, tmp_path: Path, expected: Path
) -> None:
    with raylets(tmp_path / "cluster", nodes=1) as cluster:
        cluster.add("laggard", env={"LAGGARD": "1"})
        words = ("--shards", "8", *SETTINGS)
        with slow_job(cluster, identities, tmp_path / "run", *words, slow="knn", seconds=4.0) as job:
            assert job.finished() == 0, job.text()
        found = nodes_of(tmp_path / "run", "knn")
        print(f"shards by node: {dict(found)}")
        assert found["127.0.0.12"] == 0, "a task takes 160 s there, and late is what takes 10 s"
    assert faults(tmp_path / "run", expected, identities) == FAULTLESS


def wishes(cluster: Raylets) -> list[dict[str, float]]:
    """The resources that the cluster's autoscaler is asked for, as it reads them."""
    code = """
import os
from ray._private.ray_constants import AUTOSCALER_RESOURCE_REQUEST_CHANNEL
from ray._raylet import GcsClient
client = GcsClient(address=os.environ["RAY_ADDRESS"])
print((client.internal_kv_get(AUTOSCALER_RESOURCE_REQUEST_CHANNEL, None) or b"[]").decode())
"""
    run = subprocess.run(
        [sys.executable, "-c", code], env=cluster.env, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    return list(json.loads(run.stdout.strip().splitlines()[-1]))


def test_sixteen_workers_ask_for_sixteen_machines_where_there_is_none_and_end_with_a_sentence(tmp_path: Path) -> None:
    source = tmp_path / "files"
    write_parquet(SyntheticConfig(rows=1600, width=16, mean_size=6, max_size=60), str(source), rows_per_file=100)
    words = ("--shards", "32", "--workers", "16", "--cpus-per-worker", "8", "--wait", "1.2", *SETTINGS)
    with (
        raylets(tmp_path / "cluster", nodes=0) as cluster,
        slow_job(cluster, str(source), tmp_path / "run", *words) as job,
    ):
        until(lambda: len(wishes(cluster)) >= 16, "the wish for sixteen machines")
        found = wishes(cluster)
        assert len(found) == 16
        assert {wish["CPU"] for wish in found} == {8.0}
        assert job.finished() == 1
        assert "ingest: 0 of 16 workers at work" in job.text()
        sentence = "No worker of stage ingest was there for 1.2 minutes (--wait). A worker needs 8 CPUs (0 of 0 free)"
        assert sentence in job.text()
        assert wishes(cluster) == [], "what was requested is released"
