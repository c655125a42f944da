"""`ray job submit` against a local head with token authentication, as the README's "on a cluster" section shows."""

import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.paths import ROOT
from support.runs import SETTINGS, command, here, labels
from support.servers import RayHead, S3Server, ray_head, seaweed_s3

WHERE = """
import ray, raycluster
ray.init()

@ray.remote
def on_a_worker() -> str:
    import raycluster
    return raycluster.__file__

print("code:", raycluster.__file__, ray.get(on_a_worker.remote()))
"""
"""Prints the files of the package that a driver and a worker import."""


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayHead]:
    with ray_head(tmp_path_factory.mktemp("head")) as started:
        yield started


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with seaweed_s3(tmp_path_factory.mktemp("seaweed")) as started:
        yield started


def _submit(
    head: RayHead, env: dict[str, str], runtime: dict[str, object], *entrypoint: str
) -> subprocess.CompletedProcess[str]:
    program = ["ray", "job", "submit", "--address", head.job_address, "--working-dir", str(ROOT)]
    options = ["--runtime-env-json", json.dumps(runtime), "--", *entrypoint]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [*program, *options], env={**env, "PATH": path}, capture_output=True, text=True, timeout=240, check=False
    )


def test_a_submitted_job_reads_and_writes_s3_and_gives_the_same_labels_by_the_submitted_checkout(
    head: RayHead, store: S3Server, identities: str, tmp_path: Path
) -> None:
    for path in Path(identities).glob("*.parquet"):
        store.filesystem().put_file(str(path), f"{store.bucket}/input/{path.name}")
    job = ["--input", f"s3://{store.bucket}/input", "--output", f"s3://{store.bucket}/run", *SETTINGS]
    job += ["--shards", "2", "--workers", "1"]  # every stage starts its workers, and each takes seconds
    lines = (["python", "-c", WHERE], ["python", "jobs/cluster.py", *job])
    both = " && ".join(map(shlex.join, lines))
    submitted = _submit(head, head.env, {"env_vars": store.env}, "sh", "-c", both)
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    assert "succeeded" in submitted.stdout
    (line,) = [line for line in submitted.stdout.splitlines() if line.startswith("code:")]
    assert len(line.split()[1:]) == 2
    assert all("working_dir_files" in file for file in line.split()[1:]), line
    files = store.filesystem()
    parts = [pq.read_table(io.BytesIO(files.cat_file(path))) for path in files.find(f"{store.bucket}/run/labels")]
    assert files.find(f"{store.bucket}/run/stages/knn/"), "no stage was stored"
    manifest = json.loads(files.cat_file(f"{store.bucket}/run/MANIFEST.json"))
    assert set(manifest["workers"]["shards_by_node"]) > {"driver"}, "no shard ran on Ray"
    assert here(identities, str(tmp_path / "local")).code == 0
    assert pa.concat_tables(parts).sort_by("id").equals(labels(tmp_path / "local"))


def test_a_wrong_token_is_refused(head: RayHead, identities: str, tmp_path: Path) -> None:
    wrong = {**head.env, "RAY_AUTH_TOKEN": "0" * 64}
    refused = _submit(
        head, wrong, {}, "python", "jobs/cluster.py", "--input", identities, "--output", str(tmp_path / "run")
    )
    assert refused.returncode != 0
    assert "token" in (refused.stdout + refused.stderr).lower()
    assert not (tmp_path / "run").exists()


@pytest.mark.long  # tests/executors/test_connection.py has the sentence
def test_a_driver_with_a_wrong_token_learns_where_to_set_it(head: RayHead, identities: str, tmp_path: Path) -> None:
    wrong = {"RAY_ADDRESS": head.gcs_address, "RAY_AUTH_TOKEN": "b" * 64}
    refused = subprocess.run(
        command(identities, str(tmp_path / "run"), "--shards", "2"),
        env=head.env | wrong, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert refused.stderr.strip().splitlines()[-1].endswith("~/.ray/auth_token, as on the cluster."), refused.stderr
    assert not (tmp_path / "run").exists()
