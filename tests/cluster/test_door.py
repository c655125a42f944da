"""Any cluster's door: with a token, without one, with a wrong one; and nodes that do not see a folder."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from support.paths import ROOT
from support.raylets import Raylets, raylets
from support.runs import command, here, labels

TOKEN = "a" * 64


def job(cluster: Raylets, source: str, output: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The main job as a driver of the cluster; an empty variable is removed."""
    variables = {name: value for name, value in (cluster.env | env).items() if value}
    return subprocess.run(
        command(source, str(output), "--shards", "2"),
        env=variables, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


@pytest.mark.long  # tests/end_to_end/test_submit.py has a token on every run
@pytest.mark.parametrize("token", [TOKEN, None], ids=["token", "no token"])
def test_a_cluster_with_and_without_a_token_gives_the_same_labels(
    identities: str, tmp_path: Path, token: str | None
) -> None:
    with raylets(tmp_path / "cluster", nodes=1, token=token) as cluster:
        done = job(cluster, identities, tmp_path / "run")
        assert done.returncode == 0, done.stderr
        manifest = json.loads((tmp_path / "run" / "MANIFEST.json").read_text())
        assert set(manifest["workers"]["shards_by_node"]) > {"driver"}, "no shard ran on Ray"
        if token:
            refused = job(cluster, identities, tmp_path / "wrong", RAY_AUTH_TOKEN="b" * 64)
            assert refused.returncode == 1
            line = refused.stderr.strip().splitlines()[-1]
            assert line.endswith("~/.ray/auth_token, as on the cluster."), refused.stderr
            assert not (tmp_path / "wrong").exists()
    assert here(identities, str(tmp_path / "local")).code == 0
    assert labels(tmp_path / "run").equals(labels(tmp_path / "local"))


@pytest.mark.long
def test_a_node_that_does_not_see_the_output_is_named_before_anything_is_planned(
    identities: str, tmp_path: Path
) -> None:
    with raylets(tmp_path / "cluster", nodes=1) as cluster:
        cluster.add("blind", private=(str(tmp_path / "apart"),))
        refused = job(cluster, identities, tmp_path / "apart" / "run")
        assert refused.returncode == 2
        folder = tmp_path / "apart" / "run"
        assert f"Node 127.0.0.12 does not see the folder {folder}; use an object store" in refused.stderr
        assert not folder.exists()
