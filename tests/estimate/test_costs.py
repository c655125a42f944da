"""Declared costs against the stages themselves: copies of a node, stored tables, growth; who runs tasks, and for how long."""

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.config.stages import Config
from raycluster.estimate.costs import crew_of, forecasts
from raycluster.estimate.rates import Rate, Rates
from raycluster.executors.machines import named
from raycluster.executors.progress import Silence
from raycluster.pipeline import run as pipeline
from raycluster.stages import engines, stage_named, wanted_stages
from raycluster.stages.stage import ProblemSize
from raycluster.storage import node_cache
from raycluster.storage.stored_tables import StoredTables
from support.estimates import a_size, planned
from support.paths import ROWS

HEADER = 128
"""Bytes of a .npy file before its values."""
RUNS: dict[str, dict[str, Any]] = {
    "cosine": {"edges": {"threshold": 0.6}},
    "cosine, float16": {"edges": {"threshold": 0.6}, "knn": {"storage": "float16"}},
    "cosine, lists": {"edges": {"threshold": 0.6}, "knn": {"index": "ivf"}},
    "fc-es": {},
    "fc-es, counts": {},
    "hard-clusters": {"relations": {"score": "none"}},
    "hard-clusters, nearest": {"relations": {"score": "none"}, "density": {"nearest": 8}},
    "hard-clusters, volume": {"relations": {"score": "none"}, "density": {"kind": "volume"}},
}
"""Recipes, and what is laid over them so that they need no model."""


def size_of(tables: StoredTables) -> ProblemSize:
    counted: dict[str, Any] = dict(stage_named("edges").sizes(tables))
    plan = tables.folder.plan
    return ProblemSize(tables.rows, tables.width, len(plan.pieces), plan.shards, **counted)


@pytest.mark.parametrize("name", RUNS)
def test_copies_and_tables_are_as_large_as_the_run_makes_them(
    name: str, identities: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setattr(StoredTables, "release", lambda *_: None)
    keys = {**RUNS[name], "knn": {"k": 20, **RUNS[name].get("knn", {})}}
    if name == "fc-es, counts":
        pq.write_table(pa.table({"id": range(ROWS), "k": np.full(ROWS, 15)}), tmp_path / "counts.parquet")
        keys["topk"] = {"source": str(tmp_path / "counts.parquet")}
    keys["embeddings"] = {"duplicates": "keep"}  # the set has copies, and costs are of all rows
    config, execution = load_config(name.split(",")[0], keys, "test"), Execution("local", shards=2)
    with pipeline.opened(identities, str(tmp_path / "run"), config, execution, Silence()) as tables:
        pipeline.run_stages(tables, execution, Silence(), until="edges")
        copied = [os.path.getsize(file) - HEADER for file in Path(node_cache.folder(tables.folder)).glob("*.npy")]
        size, config = size_of(tables), tables.config
        assert 0 < size.links <= size.edges
        declared: dict[str, float] = {}
        for stage in wanted_stages(config):
            if tables.finished(stage.name):
                cost = stage.cost(size, config)
                declared |= {**cost.copies, **cost.copies_once}
                plain = sum(tables.folder.table(stage.name, task).nbytes for task in tables.finished(stage.name))
                assert stage.table_bytes(size, config, tables.id_type) == pytest.approx(plain, rel=0.05), stage.name
        assert sorted(copied) == sorted(declared.values())


def growth(cost: Callable[[ProblemSize], float]) -> float:
    """Exponent between a million and two million rows."""
    return math.log2(cost(a_size(2_000_000)) / cost(a_size(1_000_000)))


def test_work_grows_as_the_kernels_do() -> None:
    config = replace(Config(), knn=replace(Config().knn, index="exact"))
    lists = replace(Config(), knn=replace(Config().knn, index="ivf"))
    work = {
        name: growth(lambda size, name=name: stage_named(name).cost(size, config).work)
        for name in ("ingest", "embeddings", "knn", "edges", "labels", "communities")
    }
    one = dict.fromkeys(("ingest", "embeddings", "edges", "labels"), 1.0)
    assert {name: work[name] for name in one} == pytest.approx(one, abs=0.01)
    assert work["knn"] == pytest.approx(2.0)
    assert growth(lambda size: stage_named("coarse_lists").cost(size, lists).work) == pytest.approx(1.5, abs=0.01)
    assert 1 < work["communities"] < 1.1
    once = growth(lambda size: stage_named("edges").cost(size, config).once)
    assert once == 0, "a threshold is picked from 50,000 rows"


def test_memory_of_communities_is_what_the_stage_refuses_by() -> None:
    config, size = Config(), a_size(1_000_000)
    needed = engines.memory_needed(30_000_000, 1_000_000, config.communities)
    assert stage_named("communities").cost(size, config).driver_bytes == needed


@pytest.mark.parametrize("stage", ["ingest", "embeddings", "knn", "edges", "relations"])
def test_more_shards_need_less_memory_per_worker(stage: str) -> None:
    few, many = (stage_named(stage).cost(a_size(10_000_000, shards), Config()).worker_bytes for shards in (8, 64))
    assert 0 < many < few


def flat_rates(config: Config) -> Rates:
    """One second per task and nothing per unit."""
    names = [stage.name for stage in wanted_stages(config)]
    rate = dict.fromkeys(names, Rate(1.0, 0.0))
    nothing = dict.fromkeys(names, Rate(0.0, 0.0))
    return Rates("a test", (1000,), 1.0, 2, 100.0, nothing, rate, 0.0, dict.fromkeys(names, 0.5))


def test_tasks_run_in_waves_and_global_stages_on_the_driver() -> None:
    config, machine = load_config("cosine"), named("m6id.8xlarge")
    execution = Execution("ray", workers=3)
    run = planned(
        config, a_size(1_000_000, 8), has_ray=True, nodes=2, driver=machine, worker=machine, execution=execution
    )
    crew = crew_of(stage_named("knn"), run)
    assert (crew.tasks, crew.processes, crew.nodes, crew.threads, crew.is_driver) == (8, 3, 2, 16, False)
    by_name = {entry.stage: entry for entry in forecasts(run, flat_rates(config))}
    assert by_name["labels"].where == by_name["communities"].where == by_name["plan"].where == "driver"
    assert by_name["embeddings"].seconds == 3 + 4, "eight tasks in three processes, and Ray's actors"
    assert by_name["ingest"].seconds == 3 + 4 + 10 + 240, "Ray and machines start once"
    assert by_name["knn"].seconds == pytest.approx(3 * 2 / 16 + 4 + 1_000_000 * 1024 / 2**30 / 1.46, abs=0.01)
    assert by_name["plan"].seconds == 1.0


def test_half_of_a_table_is_stored_and_all_of_its_copies_are_moved() -> None:
    config, size = load_config("cosine"), a_size(1_000_000)
    by_name = {entry.stage: entry for entry in forecasts(planned(config, size), flat_rates(config))}
    gib = 2**30
    assert by_name["knn"].stored_gib == pytest.approx(0.5 * 1e6 * (4 + 8 * 80) / gib, rel=1e-3)
    assert by_name["edges"].stored_gib == pytest.approx(0.5 * 4e7 * 24 / gib, rel=1e-3)
    expected = 1e6 * (1024 + 2 * 320)
    assert by_name["edges"].node_disk_gib == pytest.approx(expected / gib, rel=1e-3), "vectors go before the tasks"
    assert by_name["edges"].copies_gib == pytest.approx(2 * 1e6 * 320 / gib, rel=1e-3)
    assert by_name["labels"].node_disk_gib == by_name["edges"].copies_gib, "the check at the end reads the lists"
    assert by_name["ingest"].moved_gib == pytest.approx((1e6 * 1032 + 0.5 * 1e6 * 1040) / gib, rel=2e-3)
