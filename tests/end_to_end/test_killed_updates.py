"""Updates are killed at moments of every mode: the old run stays valid, and the same command completes."""

import signal
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.identities.job import Order, update_run
from raycluster.pipeline.results import Results
from raycluster.pipeline.run import cluster
from support.living import BASE, ROWS, config_of, rows
from support.paths import ROOT
from support.runs import interrupted, labels

LOCAL = ["state/rows.parquet", "state/lists.parquet", "state.json", "labels/*", "clusters.parquet"]
FULL = [
    "state/input.parquet",
    "plan.json",
    "stages/knn/*/done/*",
    "stages/communities/*/done/*",
    "state/members.parquet",
]
FULL += ["labels/*"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run of 240 rows, 60 new ones, and updates by these that nothing disturbs."""
    place = tmp_path_factory.mktemp("killed")
    for name, numbers in (("base", range(BASE)), ("new", range(BASE, ROWS))):
        vectors = pa.array(list(rows()[0][list(numbers)]), pa.list_(pa.float32()))
        pq.write_table(pa.table({"id": pa.array(list(numbers)), "embedding": vectors}), place / f"{name}.parquet")
    cluster(str(place / "base.parquet"), str(place / "run"), config_of(), Execution("local"))
    for mode in ("local", "full"):
        update_run(str(place / "run"), str(place / mode), Order((str(place / "new.parquet"),), mode=mode, threads=1))
    return place


@pytest.mark.parametrize(("mode", "pattern"), [("local", one) for one in LOCAL] + [("full", one) for one in FULL])
def test_a_killed_update_leaves_the_old_run_and_the_same_command_completes(folder, tmp_path, mode, pattern):
    new, out = str(folder / "new.parquet"), tmp_path / "out"
    command = [sys.executable, str(ROOT / "jobs/update.py"), str(folder / "run"), "--input", new, "-o", str(out)]
    killed = interrupted([*command, "--mode", mode], pattern)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (out / "MANIFEST.json").exists()
    Results.of(str(folder / "run")).verify()
    update_run(str(folder / "run"), str(out), Order((new,), mode=mode, threads=1))
    assert labels(out).equals(labels(folder / mode))
