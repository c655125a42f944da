"""One process's work on a stage: opened once, a task's mistake as a result, an unexpected failure as a file."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.errors import InputError
from raycluster.executors.progress import Silence
from raycluster.executors.worker import StageWorker, TaskResult, run_inline
from raycluster.pipeline.run import in_memory, open_run, opened, run_stages
from raycluster.stages import stage_named
from raycluster.stages.stage import ShardFunction, Stage
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Output, Tables, Task
from support import labelled
from support.data import unit_rows

CONFIG = load_config("cosine", {"knn": {"k": 5}}, "test")
TASKS = [Task(0, 0, 4), Task(1, 4, 7)]
SCHEMA = pa.schema([("row", pa.int32())])


@dataclass
class Counted:
    """A stage that writes row numbers, and how often it was opened."""

    compute: Callable[[Task], None] = lambda task: None
    opened: int = 0
    computed: list[int] = field(default_factory=list)

    def open(self, tables: Tables) -> ShardFunction:  # noqa: ARG002
        self.opened += 1

        def run(task: Task) -> Output:
            self.computed.append(task.number)
            self.compute(task)
            return Output([{"row": np.arange(task.start, task.stop, dtype=np.int32)}], {"links": len(task)})

        return run

    def stage(self) -> Stage:
        return replace(stage_named("knn"), writes=lambda *_: SCHEMA, open=self.open)


@pytest.fixture
def stored(tmp_path: Path) -> StoredTables:
    """A run folder whose input has been read."""
    url, execution = str(tmp_path / "run"), Execution("local", shards=2)
    with opened(labelled.written(tmp_path), url, CONFIG, execution, Silence()) as tables:
        run_stages(tables, execution, Silence(), until="embeddings")
    return open_run(url)


def refuse(task: Task) -> None:
    """A mistake of the user's in one task."""
    if task.number == 1:
        raise InputError("Row 5 is broken.")


def fail(task: Task) -> None:
    """A mistake of ours."""
    raise KeyError(f"task\n{task.number}")


def test_a_stage_is_opened_once_for_all_tasks_of_a_process() -> None:
    tables, counted = in_memory(unit_rows(7, 4, 0), CONFIG, 1), Counted()
    assert list(run_inline(counted.stage(), tables, TASKS)) == [TaskResult(0, 4), TaskResult(1, 3)]
    assert (counted.opened, counted.computed) == (1, [0, 1])
    assert [block["row"].tolist() for block in tables.blocks("knn", ["row"])] == [[0, 1, 2, 3], [4, 5, 6]]
    assert [facts.pop("seconds") >= 0 for facts in tables.task_facts("knn")] == [True, True]
    assert [facts.pop("peak_bytes") > 2**20 for facts in tables.task_facts("knn")] == [True, True]
    assert tables.task_facts("knn") == [{"links": 4}, {"links": 3}]


def test_a_stage_without_tasks_is_not_opened() -> None:
    counted = Counted()
    assert list(run_inline(counted.stage(), in_memory(unit_rows(7, 4, 0), CONFIG, 1), [])) == []
    assert counted.opened == 0


def test_a_mistake_of_the_users_is_a_result_and_leaves_the_task_undone() -> None:
    tables = in_memory(unit_rows(7, 4, 0), CONFIG, 1)
    results = list(run_inline(Counted(refuse).stage(), tables, TASKS))
    assert results == [TaskResult(0, 4), TaskResult(1, 3, "InputError", "Row 5 is broken.")]
    assert tables.finished("knn") == {0}


def test_a_mistake_of_ours_is_raised_in_the_drivers_process() -> None:
    with pytest.raises(KeyError):
        list(run_inline(Counted(fail).stage(), in_memory(unit_rows(7, 4, 0), CONFIG, 1), TASKS))


def test_on_another_machine_a_mistake_of_ours_is_a_sentence_and_a_file_with_the_traceback(stored: StoredTables) -> None:
    result = StageWorker(stored, Counted(fail).stage(), "one").run_reporting(TASKS[1])
    path = f"{stored.folder.store.url}/errors/knn-00001.txt"
    assert (result.number, result.error) == (1, "RayclusterError")
    assert result.message == f"A worker of stage knn failed: KeyError: 'task\\n1'; {path} has more."
    text = Path(path).read_text()
    assert text.startswith("Traceback")
    assert "in fail" in text
    assert stored.finished("knn") == set()


def test_on_another_machine_a_mistake_of_the_users_leaves_no_file(stored: StoredTables) -> None:
    result = StageWorker(stored, Counted(refuse).stage(), "one").run_reporting(TASKS[1])
    assert result == TaskResult(1, 3, "InputError", "Row 5 is broken.")
    assert stored.folder.store.files("errors") == []


def test_attempts_are_counted_where_a_task_may_kill_its_worker(stored: StoredTables) -> None:
    for session in ("", "one", "one", "two"):
        assert not StageWorker(stored, Counted().stage(), session).run(TASKS[0]).error
    names = [path.split("/")[-2] for path in stored.folder.store.files("stages/knn") if "/attempts/" in path]
    assert names == ["one-00000", "one-00000", "two-00000"]
