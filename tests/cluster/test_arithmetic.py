"""Equal labels on a cluster of two kinds of processors, whichever computes a shard."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from raycluster.executors.same_bits import FIRST
from support.cluster_jobs import slow_job
from support.paths import ROOT
from support.raylets import raylets, until
from support.runs import labels, run

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

WORDS = ("--recipe", "auto", "--shards", "6", "--knn.k", "20")
OTHERS = {"float32": {"ATEN_CPU_CAPABILITY": "avx2"}, "bfloat16": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}}
"""What makes a node another kind of processor: AVX2 instead of AVX-512, and no bfloat16 in hardware."""


def alone(source: str, output: Path, *words: str, env: dict[str, str] | None = None) -> pa.Table:
    """Labels of the same run in one process of its own."""
    program = [sys.executable, str(ROOT / "jobs" / "cluster.py"), "--input", source, "--output", str(output)]
    done = run([*program, "--executor", "local", *words], env)
    assert done.returncode == 0, done.stderr
    return labels(output)


def kept_decisions(run: Path, output: Path) -> None:
    """Begin a run with the plan and the arithmetic that another has stored."""
    output.mkdir()
    for name in ("plan.json", "arithmetic.json"):
        shutil.copy(run / name, output / name)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_kinds_of_processors_give_the_labels_of_one_to_the_bit(
    identities: str, tmp_path: Path, precision: str
) -> None:
    words = (*WORDS, "--precision", precision)
    with raylets(tmp_path / "cluster", nodes=1) as cluster:
        cluster.add("other", env=OTHERS[precision])
        with slow_job(cluster, identities, tmp_path / "run", *words, slow="topk,relations", seconds=2.0) as job:
            assert job.finished(500) == 0, job.text()
    found = json.loads((tmp_path / "run" / "MANIFEST.json").read_bytes())["workers"]
    print(precision, found["processors"], found["shards_by_node"])
    assert found["precision"] == precision
    assert {"127.0.0.11", "127.0.0.12"} <= found["shards_by_node"].keys()
    kept_decisions(tmp_path / "run", tmp_path / "expected")
    expected = alone(identities, tmp_path / "expected", *words, env=OTHERS[precision])
    assert labels(tmp_path / "run").equals(expected), "strengths and margins are equal too, to the bit"


def test_a_node_of_another_kind_that_joins_later_is_refused_until_any_may_join(identities: str, tmp_path: Path) -> None:
    words = (*WORDS, "--precision", "float32")
    with raylets(tmp_path / "cluster", nodes=1) as cluster:
        with slow_job(cluster, identities, tmp_path / "run", *words, slow="relations", seconds=3.0) as job:
            job.until_marked("knn", 2)
            cluster.add("other", env=OTHERS["float32"])
            assert job.finished(300) == 1, job.text()
            assert "Node 127.0.0.12 has another kind of processor" in job.text()
        with slow_job(cluster, identities, tmp_path / "run", *words, "--processors", "any") as job:
            assert job.finished(300) == 0, job.text()
            assert "--processors any: scores are computed again" in job.text()
    assert labels(tmp_path / "run").equals(alone(identities, tmp_path / "expected", *words, "--processors", "any"))


def test_a_run_that_begins_without_nodes_takes_the_kind_of_the_first(identities: str, tmp_path: Path) -> None:
    words = (*WORDS, "--precision", "float32")
    with (
        raylets(tmp_path / "cluster", nodes=0) as cluster,
        slow_job(cluster, identities, tmp_path / "run", *words, "--workers", "1") as job,
    ):
        until(lambda: (tmp_path / "run" / "arithmetic.json").exists(), "the decision of the driver")
        cluster.add("first", env=OTHERS["float32"])
        assert job.finished(300) == 0, job.text()
    kind = json.loads((tmp_path / "run" / FIRST).read_bytes())["kind"]
    assert kind.endswith("with avx2")
    assert labels(tmp_path / "run").equals(alone(identities, tmp_path / "expected", *words, env=OTHERS["float32"]))
