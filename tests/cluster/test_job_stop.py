"""`ray job stop` in the middle of a run, submitted again on a fresh cluster: equal labels."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.cluster_jobs import FAULTLESS, faults, slow_job
from support.paths import ROOT
from support.raylets import Raylets, raylets, until
from support.runs import SETTINGS, command, here
from support.servers import _program

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def job_command(cluster: Raylets, *words: str) -> subprocess.CompletedProcess[str]:
    """`ray job WORDS` on a cluster."""
    program = [_program("ray"), "job", *words[:1], "--address", cluster.job_address, *words[1:]]
    return subprocess.run(
        program, env=cluster.env, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )  # fmt: skip


def test_a_stopped_job_goes_on_on_another_cluster(identities: str, tmp_path: Path) -> None:
    assert here(identities, str(tmp_path / "expected")).code == 0
    output = tmp_path / "run"
    words = command(identities, str(output), "--shards", "12")
    with raylets(tmp_path / "one", nodes=1) as cluster:
        submitted = job_command(cluster, "submit", "--no-wait", "--submission-id", "first", "--", *words)
        assert submitted.returncode == 0, submitted.stderr
        until(lambda: len(list(output.glob("stages/knn/*/done/*.json"))) >= 1, "the first shard of knn", 240, 0.02)
        stopped = job_command(cluster, "stop", "first")
        assert stopped.returncode == 0, stopped.stderr
        assert not (output / "MANIFEST.json").exists()
    before = len(list(output.glob("stages/*/*/done/*.json")))
    with (
        raylets(tmp_path / "two", nodes=1) as cluster,
        slow_job(cluster, identities, output, "--shards", "12", *SETTINGS) as job,
    ):
        assert job.finished(500) == 0, job.text()
    print(f"{before} shards were done when the job was stopped")
    assert faults(output, tmp_path / "expected", identities) == FAULTLESS
