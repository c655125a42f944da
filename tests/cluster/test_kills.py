"""The kill matrix: what dies in the middle of which stage, what it costs, and that labels stay equal.

A run is killed once in every stage, so that a column of the matrix is one test. Each prints its rows as JSON, and appends
them to the file that KILLS names.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from support.cluster_jobs import FAULTLESS, Job, faults, slow_job
from support.command_line import call
from support.raylets import Node, Raylets, marked, raylets, until

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

ON_WORKERS = ("ingest", "knn", "relations", "edges")
STAGES = (*ON_WORKERS, "communities", "labels")
"""The last two run in the driver: no worker or node has a part in them."""
WORDS = ("--recipe", "auto", "--shards", "6", "--knn.k", "20")
FILES = 6
SECONDS = 3.0
"""What a task takes at least. A kill 1 s after a first shard is done finds workers in the middle of others."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """2,000 rows in six files."""
    from raycluster.synthetic.generator import SyntheticConfig, write_parquet

    folder = tmp_path_factory.mktemp("rows")
    config = SyntheticConfig(rows=2000, width=48, effective_dimension=48, mean_size=6, max_size=60, same_cosine=0.85)
    write_parquet(config, str(folder), rows_per_file=-(-2000 // FILES))
    return str(folder)


@pytest.fixture(scope="module")
def expected(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run in one process."""
    output = tmp_path_factory.mktemp("expected") / "run"
    assert call("cluster", source, "--output", str(output), "--executor", "local", *WORDS).code == 0
    return output


def record(**row: object) -> None:
    """Print a row of the matrix and append it to the file that KILLS names."""
    line = json.dumps(row)
    print(line)
    if path := os.environ.get("KILLS"):
        with Path(path).open("a") as file:
            file.write(f"{line}\n")


def kill_in_every_stage(job: Job, stages: tuple[str, ...], victim: str, kill: Callable[[], object]) -> None:
    """Kill once in the middle of each stage of one run, which goes on by itself."""
    for stage in stages:
        job.until_marked(stage)
        time.sleep(1.0)  # into the next shard
        before = job.marked(stage)
        kill()
        recovered = job.until_marked(stage, min(before + 1, 6))
        rest = job.until_marked(stage, 6)
        twice = job.attempts(stage) - 6
        record(
            victim=victim, stage=stage, done_before=before, computed_twice=twice,
            seconds_to_next_shard=round(recovered, 1), seconds_to_end_of_stage=round(recovered + rest, 1),
        )  # fmt: skip
        assert twice <= 2, "two workers have a shard in flight each"


def worker_of(cluster: Raylets) -> Callable[[], None]:
    """A function that kills one worker process of a stage, wherever it runs."""

    def kill() -> None:
        until(lambda: bool(workers_on(cluster.nodes)), "a worker", seconds=60)
        os.kill(workers_on(cluster.nodes)[-1], signal.SIGKILL)

    return kill


def workers_on(nodes: Sequence[Node]) -> list[int]:
    """Processes of nodes that have opened a stage."""
    found = []
    for pid in [pid for node in nodes for pid in marked(node.mark)]:
        with contextlib.suppress(OSError):
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"MapWorker" in title and b"__init__" not in title:
                found.append(pid)
    return found


def test_workers_die_in_every_stage(source: str, expected: Path, tmp_path: Path) -> None:
    slow = ",".join(ON_WORKERS)
    with (
        raylets(tmp_path / "cluster", nodes=2) as cluster,
        slow_job(cluster, source, tmp_path / "run", *WORDS, slow=slow, seconds=SECONDS) as job,
    ):
        kill_in_every_stage(job, ON_WORKERS, "worker", worker_of(cluster))
        assert job.finished() == 0, job.text()
    assert faults(tmp_path / "run", expected, source) == FAULTLESS


def test_nodes_die_in_every_stage(source: str, expected: Path, tmp_path: Path) -> None:
    slow = ",".join(ON_WORKERS)
    with (
        raylets(tmp_path / "cluster", nodes=2) as cluster,
        slow_job(cluster, source, tmp_path / "run", *WORDS, slow=slow, seconds=SECONDS) as job,
    ):

        def kill() -> None:
            """End the oldest node that has a worker, and start another in its place."""
            until(lambda: bool(workers_on(cluster.nodes)), "a worker", seconds=60)
            next(node for node in cluster.nodes if workers_on([node])).kill()
            cluster.add(f"n{len(cluster.nodes)}", is_awaited=False)

        kill_in_every_stage(job, ON_WORKERS, "node", kill)
        assert job.finished() == 0, job.text()
    assert faults(tmp_path / "run", expected, source) == FAULTLESS


def test_drivers_die_in_every_stage(source: str, expected: Path, tmp_path: Path) -> None:
    slow = ",".join(STAGES)
    with raylets(tmp_path / "cluster", nodes=2) as cluster:
        for stage in STAGES:
            with slow_job(cluster, source, tmp_path / "run", *WORDS, slow=slow, seconds=SECONDS) as job:
                before = in_the_middle(job, stage)
                job.kill()
            again(cluster, source, tmp_path / "run", stage, before, "driver")
        with slow_job(cluster, source, tmp_path / "run", *WORDS) as job:
            assert job.finished() == 0, job.text()
    assert faults(tmp_path / "run", expected, source) == FAULTLESS


@pytest.mark.parametrize("stages", [("ingest", "knn"), ("relations", "edges")], ids="-".join)
def test_heads_die_in_every_stage(source: str, expected: Path, tmp_path: Path, stages: tuple[str, ...]) -> None:
    slow = ",".join(stages)
    with raylets(tmp_path / "cluster", nodes=2) as cluster:
        for stage in stages:
            with slow_job(cluster, source, tmp_path / "run", *WORDS, slow=slow, seconds=SECONDS) as job:
                before = in_the_middle(job, stage)
                kill_all(cluster)
                assert job.finished() != 0, job.text()
                assert "is gone: no answer for" in job.text()
                assert "Run the same command again: what is done is kept." in job.text()
            cluster.start_head()
            for _ in range(2):
                cluster.add(f"n{len(cluster.nodes)}")
            again(cluster, source, tmp_path / "run", stage, before, "head")
        with slow_job(cluster, source, tmp_path / "run", *WORDS) as job:
            assert job.finished() == 0, job.text()
    assert faults(tmp_path / "run", expected, source) == FAULTLESS


@pytest.mark.parametrize("stage", ["communities", "labels"])
def test_a_driver_that_needs_no_workers_ends_without_its_head(
    source: str, expected: Path, tmp_path: Path, stage: str
) -> None:
    """It lets go of the cluster after the last stage with workers."""
    with (
        raylets(tmp_path / "cluster", nodes=2) as cluster,
        slow_job(
            cluster, source, tmp_path / "run", *WORDS, slow=stage, seconds=13.0 if stage == "labels" else 75.0
        ) as job,
    ):
        progress = tmp_path / "run" / "progress.json"
        until(lambda: progress.exists() and json.loads(progress.read_text())["stage"] == stage, stage, seconds=240)
        kill_all(cluster)
        began = time.monotonic()
        assert job.finished(300) == 0, job.text()
        record(victim="head", stage=stage, seconds_to_end_of_run=round(time.monotonic() - began, 1))
        assert time.monotonic() - began > 60, "Ray ends a driver that is connected after 60 s"
        assert [path for path in (tmp_path / "cluster" / "scratch-head").rglob("*") if path.is_file()] == []
    assert faults(tmp_path / "run", expected, source) == FAULTLESS


def test_a_driver_that_computes_alone_between_stages_ends_with_the_sentence(
    source: str, expected: Path, tmp_path: Path
) -> None:
    with raylets(tmp_path / "cluster", nodes=2) as cluster:
        with slow_job(cluster, source, tmp_path / "run", *WORDS, slow="edges.once", seconds=200.0) as job:
            job.until_marked("relations", 6)
            time.sleep(3.0)
            kill_all(cluster)
            began = time.monotonic()
            assert job.finished(100) == 1, job.text()
            record(victim="head", stage="limits of edges", seconds_to_the_sentence=round(time.monotonic() - began, 1))
        assert "is gone: no answer for" in job.text()
        assert "while the driver computed by itself. Run the same command again: what is done is kept." in job.text()
        assert list((tmp_path / "cluster" / "scratch-head").rglob("*.npy")) == []
        cluster.start_head()
        for _ in range(2):
            cluster.add(f"n{len(cluster.nodes)}")
        with slow_job(cluster, source, tmp_path / "run", *WORDS) as job:
            assert job.finished() == 0, job.text()
    assert faults(tmp_path / "run", expected, source) == FAULTLESS


def kill_all(cluster: Raylets) -> None:
    """End the head and all nodes at once."""
    cluster.kill_head()
    for node in cluster.nodes:
        node.kill()


def in_the_middle(job: Job, stage: str) -> int:
    """Wait until a stage is at work; returns its shards that are done."""
    if stage in ON_WORKERS:
        job.until_marked(stage)
    else:
        previous = {"communities": "edges", "labels": "rejoin"}[stage]
        job.until_marked(previous, 6 if previous == "edges" else 1)
        until(lambda: job.marked(stage) == 0, "its first shard")
    return job.marked(stage)


def again(cluster: Raylets, source: str, output: Path, stage: str, before: int, victim: str) -> None:
    """Start the job again until a stage has one more shard, and record what it cost."""
    with slow_job(cluster, source, output, *WORDS) as job:
        recovered = job.until_marked(stage, min(before + 1, 6 if stage in ON_WORKERS else 1))
        job.until_marked(stage, 6 if stage in ON_WORKERS or stage == "labels" else 1)
        twice = max(0, job.attempts(stage) - 6) if stage in ON_WORKERS else 0
        record(victim=victim, stage=stage, computed_twice=twice, seconds_to_next_shard=round(recovered, 1))
        assert twice <= 2, "two workers have a shard in flight each"
        job.kill()
