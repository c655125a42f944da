"""A stage's tasks on Ray: pools that fit the cluster, workers that die, and failures as one sentence."""

from __future__ import annotations  # Ray is imported when a test runs: the fast tests do without it

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import open_run, opened, run_stages
from raycluster.stages import stage_named
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Output, Task
from support import labelled
from support.dying import TASK, attempts, open_dying, sent_by_value

CONFIG = load_config("cosine", {"knn": {"k": 5}}, "test")


@pytest.fixture(scope="module", autouse=True)
def _workers_need_not_find_this_module() -> Iterator[None]:
    with sent_by_value(sys.modules[__name__]):
        yield


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A run folder of four shards whose neighbors are about to be searched."""
    execution = Execution("local", shards=4)
    with opened(labelled.written(tmp_path), str(tmp_path / "run"), CONFIG, execution, Silence()) as tables:
        run_stages(tables, execution, Silence(), until="embeddings")
        knn = stage_named("knn")
        assert knn.once is not None
        tables.put_facts("knn", knn.once(tables))
    return str(tmp_path / "run")


class BrokenTables(StoredTables):
    """Tables that refuse to store task 1, as a mistake of ours would."""

    def commit(self, stage: str, task: Task, output: Output, schema: Any) -> None:
        if task.number == 1:
            raise KeyError("lost")
        super().commit(stage, task, output, schema)


def broken(url: str, threads: int) -> StoredTables:
    run = open_run(url, threads)
    return BrokenTables(run.folder, threads, run.cluster_subset)


def results(url: str, open_tables: Any, workers: int) -> dict[int, Any]:
    """Results of the search's four tasks by number."""
    from raycluster.executors.ray_data import StageJob, run_on_ray

    tasks = list(stage_named("knn").tasks(open_run(url)))
    assert len(tasks) == 4
    job = StageJob("knn", tasks, open_tables, url, Execution("ray", workers=workers))
    return {result.number: result for result in run_on_ray(job)}


def test_a_worker_that_dies_is_replaced_and_its_task_is_tried_again(url: str) -> None:
    found = results(url, open_dying, 1)
    assert (Path(url) / "killed").exists()
    assert sorted(found) == [0, 1, 2, 3]
    assert not any(result.error for result in found.values())
    assert open_run(url).finished("knn") == {0, 1, 2, 3}
    assert attempts(url)[TASK] == 2


def test_an_unexpected_failure_is_a_sentence_that_names_a_file_and_other_tasks_are_done(url: str) -> None:
    found = results(url, broken, 1)
    path = f"{url}/errors/knn-00001.txt"
    assert found[1].message == f"A worker of stage knn failed: KeyError: 'lost'; {path} has more."
    assert "Traceback" in Path(path).read_text()
    assert open_run(url).finished("knn") == {0, 2, 3}
