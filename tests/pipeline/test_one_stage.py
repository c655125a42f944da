"""One stage of a run: facts once, then only the tasks that are left, and the error of a task as it was."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from raycluster.config.load import load_config
from raycluster.errors import InputError
from raycluster.executors.progress import Silence
from raycluster.pipeline import run as pipeline
from raycluster.pipeline.one_stage import run_stage
from raycluster.stages import stage_named
from raycluster.storage.array_tables import ArrayTables
from raycluster.storage.tables import Output, Task
from support.data import unit_rows


def tables() -> ArrayTables:
    return pipeline.in_memory(unit_rows(40, 8, 0), load_config("cosine", {"knn": {"k": 5}}, "test"), 1)


def run(tables: ArrayTables, **changes: Any) -> None:
    stage = dataclasses.replace(stage_named("knn"), announce=lambda _: None, summary=lambda _: None, **changes)
    run_stage(tables, stage, pipeline.LOCAL, Silence(), pipeline.open_run)


def blocks(number: int) -> Output:
    """What a task of the stage writes: every row lists itself."""
    rows = np.arange(20 * number, 20 * number + 20, dtype=np.int32)
    own = np.full((20, 5), -1, np.int32)
    own[:, 0] = rows
    return Output([{"row": rows, "neighbor": own, "similarity": np.ones((20, 5), np.float32)}])


def test_facts_are_computed_once_and_finished_tasks_stay() -> None:
    at, opened, computed = tables(), [], []

    def once(_: Any) -> dict[str, Any]:
        opened.append("facts")
        return {"uniform": False}

    def open_stage(_: Any) -> Any:
        def task_of(task: Task) -> Output:
            computed.append(task.number)
            return blocks(task.number)

        return task_of

    two = {"tasks": lambda _: [Task(0, 0, 20), Task(1, 20, 40)]}
    run(at, once=once, open=open_stage, tasks=lambda _: [Task(0, 0, 20)])
    run(at, once=once, open=open_stage, **two)
    run(at, once=once, open=open_stage, **two)
    assert opened == ["facts"]
    assert computed == [0, 1]
    assert at.finished("knn") == {0, 1}


def test_the_error_of_a_task_is_raised_as_it_was() -> None:
    def open_stage(_: Any) -> Any:
        def task_of(task: Task) -> Output:
            raise InputError(f"Row {task.start} is odd.")

        return task_of

    with pytest.raises(InputError, match="Row 20 is odd"):
        run(tables(), once=None, open=open_stage, tasks=lambda _: [Task(1, 20, 40)])
