"""Laws against the stages themselves: the copies a node makes, the tables a stage stores, how work grows."""

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.config.stages import Config
from raycluster.estimate import laws
from raycluster.estimate.laws import Scale
from raycluster.executors.progress import Progress
from raycluster.pipeline import run as pipeline
from raycluster.stages import STAGES, communities
from raycluster.stages.edges import EDGES
from raycluster.storage import node_cache as scratch
from raycluster.storage.tables import StoredTables

HEADER = 128
RUNS: dict[str, dict[str, Any]] = {
    "cosine": {"edges": {"threshold": 0.6}},
    "cosine, float16": {"edges": {"threshold": 0.6}, "knn": {"storage": "float16"}},
    "cosine, lists": {"edges": {"threshold": 0.6}, "knn": {"index": "ivf"}},
    "fc-es": {},
    "hard-clusters": {"relations": {"score": "none"}},
}


def scale_of(run: StoredTables) -> Scale:
    stored = sum(run.folder.marker("edges", shard).facts["rows"] for shard in range(len(run.bounds) - 1))
    pieces = len(run.plan["pieces"])
    return Scale(run.rows, run.plan["input"]["width"], pieces, run.shards, stored, stored)


@pytest.mark.parametrize("name", RUNS)
def test_copies_and_tables_are_as_large_as_the_run_makes_them(
    name: str, identities: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path / "scratch"))
    keys = {**RUNS[name], "knn": {"k": 20, **RUNS[name].get("knn", {})}}
    config = load_config(name.split(",")[0], keys, "test")
    execution = Execution("local", shards=2)
    with pipeline.opened(identities, str(tmp_path / "run"), config, execution, Progress()) as run:
        pipeline.advance(run, EDGES, execution, Progress())
        copied = [os.path.getsize(file) - HEADER for file in Path(scratch.folder(run)).glob("*.npy")]
        scale, config = scale_of(run), run.config
        wanted = [stage.name for stage in STAGES if stage.wanted(config)]
        told: dict[str, float] = {}
        for stage in wanted:
            told |= laws.copies(stage, config, scale)
        assert sorted(copied) == sorted(told.values())
        for stage in set(wanted) & {"embeddings", "lists", "knn", "edges"}:
            plain = sum(run.folder.table(stage, shard).nbytes for shard in range(len(run.bounds) - 1))
            assert laws.stored_bytes(stage, config, scale) == pytest.approx(plain, rel=0.05), stage


def a_scale(rows: int, shards: int = 4, **known: float) -> Scale:
    return Scale(rows, 256, shards, shards, 40.0 * rows, 30.0 * rows, **known)


def growth(law: Callable[[Scale], float], shards: int = 4, **known: float) -> float:
    """Exponent between a million and two million rows."""
    one, two = law(a_scale(1_000_000, shards, **known)), law(a_scale(2_000_000, shards, **known))
    return math.log2(two / one)


def test_work_grows_as_the_kernels_do() -> None:
    config = Config()
    exponents = {"ingest": 1.0, "embeddings": 1.0, "lists": 1.5, "knn": 2.0, "edges": 1.0, "labels": 1.0}
    for stage, exponent in exponents.items():
        grown = growth(lambda scale, stage=stage: laws.work(stage, config, scale).tasks)
        assert grown == pytest.approx(exponent, abs=0.01), stage
    assert 1 < growth(lambda scale: laws.work("communities", config, scale).tasks) < 1.1
    assert growth(lambda scale: laws.work("edges", config, scale).once) == 0, "a threshold is picked from 50,000 rows"


def test_one_shard_scores_each_pair_once_while_its_candidates_fit() -> None:
    config = replace(Config(), knn=replace(Config().knn, index="exact"))
    assert laws.compared(config, a_scale(1000, 1)) == 1000 * 1000 / 2
    assert laws.compared(config, a_scale(1000, 2)) == 1000 * 1000
    assert not laws.joins_itself(config, a_scale(10_000_000, 1))


def test_inverted_lists_compare_with_the_share_that_is_read() -> None:
    config = replace(Config(), knn=replace(Config().knn, index="ivf", lists=4000))
    read = laws.compared(config, a_scale(1_000_000, share=0.03))
    assert read == 1_000_000 * (4000 + 30_000 + 2048)
    assert laws.compared(config, a_scale(1_000_000, share=0.41)) == 1e12, "so much is read in order instead"


def test_memory_of_communities_is_what_the_stage_says() -> None:
    config, scale = Config(), a_scale(1_000_000)
    needed = communities.memory_needed(30_000_000, 1_000_000, config.communities)
    assert laws.driver_bytes("communities", config, scale) == needed


@pytest.mark.parametrize("stage", ["ingest", "embeddings", "knn", "edges", "relations"])
def test_more_shards_need_less_memory_a_worker(stage: str) -> None:
    few, many = (laws.worker_bytes(stage, Config(), a_scale(10_000_000, shards), 1) for shards in (8, 64))
    assert 0 < many < few
