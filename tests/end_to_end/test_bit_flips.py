"""Flipped bits: whatever object they hit, labels are the same or the run ends with a sentence."""

import random
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.errors import RayclusterError
from raycluster.pipeline import run as pipeline
from raycluster.pipeline.results import Results
from raycluster.storage import scratch
from raycluster.storage.tables import Task
from support.data import unit_rows
from support.flips import flip, kind_of

pytestmark = pytest.mark.slow
FLIPS = [40, pytest.param(200, marks=pytest.mark.long)]
"""Bits that are flipped, over all kinds of objects in turn. More find rarer ways through."""
ROWS, WIDTH = 120, 8
LOCAL = Execution("local", shards=2)
KEYS = {"knn": {"k": 8, "index": "ivf", "lists": 4, "probes": 4}, "edges": {"threshold": 0.6}}
LAST = (
    "ids",
    "order",
    "ranks",
    "ingest",
    "embeddings",
    "duplicates",
    "coarse_lists",
    "knn",
    "edges",
    "communities",
    "labels",
)
"""Stages after which a run was interrupted, in their order."""


class Stop(Exception):
    """The end of a driver that is killed."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An input, and its run as it was left after every stage and at its end: folder by name."""
    folder = tmp_path_factory.mktemp("flips")
    vectors = unit_rows(ROWS // 6, WIDTH, 0).repeat(6, axis=0) + 0.15 * unit_rows(ROWS, WIDTH, 1)
    vectors[1] = vectors[0]
    columns = {"id": [f"row {number}" for number in range(ROWS)], "embedding": list(vectors)}
    pq.write_table(pa.table(columns), folder / "rows.parquet", row_group_size=50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYCLUSTER_SCRATCH", str(folder / "scratch"))
        cluster(folder, folder / "whole")
        for name in LAST:
            stopped_after(folder, folder / name, name, patch)
    return folder


def cluster(world: Path, run: Path) -> pa.Table:
    """Run the command, and read its labels as people do."""
    pipeline.cluster(str(world / "rows.parquet"), str(run), load_config("cosine", KEYS, "test"), LOCAL)
    return Results.of(str(run)).labels().sort_by("id")


def stopped_after(world: Path, run: Path, last: str, patch: pytest.MonkeyPatch) -> None:
    """A run that is killed when a stage is done: its tasks are on record, and its copies lie in scratch."""
    with patch.context() as inner:

        def killed(tables: Any, stage: Any, *rest: Any) -> None:
            run_stage(tables, stage, *rest)
            if stage.name == last:
                raise Stop

        run_stage = pipeline.run_stage
        inner.setattr(pipeline, "run_stage", killed)
        inner.setattr(pipeline, "free_all", lambda *_: None)
        with pytest.raises(Stop):
            cluster(world, run)


def objects(run: Path) -> dict[str, list[str]]:
    """Objects of a run folder by kind."""
    kinds = defaultdict(list)
    for path in sorted(run.rglob("*")):
        if path.is_file() and path.stat().st_size:
            kinds[kind_of(str(path.relative_to(run)))].append(str(path.relative_to(run)))
    return kinds


@pytest.mark.parametrize("flips", FLIPS)
def test_every_flipped_bit_of_a_run_folder_ends_in_equal_labels_or_a_sentence(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flips: int
) -> None:
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path / "scratch"))
    expected, chance = Results.of(str(world / "whole")).labels().sort_by("id"), random.Random(0)
    places = [(state, kind, names) for state in (*LAST, "whole") for kind, names in objects(world / state).items()]
    kinds = {kind for _, kind, _ in places}
    assert {f"{stage} part" for stage in LAST} | {f"{stage} done" for stage in LAST} <= kinds
    assert {"plan.json", "MANIFEST.json", "clusters.parquet", "knn markers.json", "arithmetic.json"} <= kinds
    assert {"embeddings facts.json", "coarse_lists centroids.npy", "part"} <= kinds
    chance.shuffle(places)
    outcomes: list[str] = []
    for number in range(flips):
        state, kind, names = places[number % len(places)]
        run = tmp_path / str(number)
        shutil.copytree(world / state, run)
        flip(run / chance.choice(names), chance)
        try:
            labels = cluster(world, run)
        except RayclusterError as error:
            outcomes.append(f"{kind}: {error}")
        else:
            assert labels.equals(expected), f"a bit of {kind} after {state} changed labels"
        shutil.rmtree(run)
    print(f"{flips - len(outcomes)} runs with equal labels, {len(outcomes)} sentences", *outcomes, sep="\n")
    assert len(outcomes) <= flips // 10, "most damage is computed again"


def test_every_flipped_bit_of_scratch_ends_in_equal_labels(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies are hit between stages, while the process that goes on has them open."""
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path / "scratch"))
    expected, chance = Results.of(str(world / "whole")).labels().sort_by("id"), random.Random(1)
    hit: list[str] = []
    run_stage = pipeline.run_stage

    def flipped(tables: Any, stage: Any, *rest: Any) -> None:
        copies = [path for path in Path(scratch.base()).rglob("*.npy*") if path.is_file()]
        if copies:
            hit.append(chance.choice(copies).name)
            flip(next(path for path in copies if path.name == hit[-1]), chance)
        run_stage(tables, stage, *rest)

    monkeypatch.setattr(pipeline, "run_stage", flipped)
    for number in range(10):
        assert cluster(world, tmp_path / str(number)).equals(expected), hit
    assert len(hit) > 30
    assert any("embedding" in name for name in hit)
    assert any("neighbor" in name for name in hit)
    assert any(name.endswith(".json") for name in hit)


def test_a_copy_that_is_hit_within_a_task_costs_the_task_and_no_label(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path / "scratch"))
    expected, chance = Results.of(str(world / "whole")).labels().sort_by("id"), random.Random(2)
    left = [Task(0, 0, 0)]
    commit = pipeline.StoredTables.commit

    def flipped(tables: Any, stage: str, *rest: Any) -> None:
        if stage == "edges" and left:
            left.pop()
            flip(next(Path(scratch.base()).rglob("*neighbor*.npy")), chance)
        commit(tables, stage, *rest)

    monkeypatch.setattr(pipeline.StoredTables, "commit", flipped)
    assert cluster(world, tmp_path / "run").equals(expected)
    assert not left


def test_published_results_are_checked_by_every_reader(world: Path, tmp_path: Path) -> None:
    chance = random.Random(3)
    for number in range(20):
        run = tmp_path / str(number)
        shutil.copytree(world / "whole", run)
        flip(run / "labels" / "part-00000.parquet", chance)
        with pytest.raises(RayclusterError, match=r"labels/part-00000\.parquet was changed or damaged"):
            Results.of(str(run)).labels()
