"""One stage of a run: its facts, then its tasks, in this process or on Ray."""

import contextlib
from collections.abc import Callable, Iterator

from raycluster.config.execution import Execution
from raycluster.executors import endings
from raycluster.executors.position import Position
from raycluster.executors.progress import Progress
from raycluster.executors.sizing import uses_ray
from raycluster.executors.worker import OpenTables, TaskResult, run_inline
from raycluster.kernels.advance import listening
from raycluster.models.arithmetic import current
from raycluster.pipeline.needs import worker_bytes
from raycluster.pipeline.status import Status
from raycluster.stages.stage import Stage
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Tables, Task


def run_stage(
    tables: Tables,
    stage: Stage,
    execution: Execution,
    progress: Progress,
    reopen: OpenTables,
    free: Callable[[], None] = lambda: None,
) -> None:
    """Compute a stage's facts unless they are recorded, then the tasks that are left.

    Parameters
    ----------
    tables
        In this process or in a run folder.
    stage
        Of the recipe.
    execution
        Executor, workers, threads and shards.
    progress
        Where lines and rows are shown.
    reopen
        Opens the tables of a run folder on a worker.
    free
        Called once the facts are there: frees what tasks do not read.
    """
    endings.check()
    if stage.once is not None and not tables.has_facts(stage.name):
        with progress.timed(stage.name):
            tables.put_facts(stage.name, stage.once(tables))
    free()
    tasks = list(stage.tasks(tables))
    done = tables.finished(stage.name)
    left = [task for task in tasks if task.number not in done]
    if left and (line := stage.announce(tables)) is not None:
        progress.say(line)
    rows, rows_left = sum(map(len, tasks)), sum(map(len, left))
    with (
        progress.stage(stage.name, rows, rows - rows_left) as position,
        listening(position.within),
        _followed(tables, left, position) as status,
    ):
        for result in _results(tables, stage, tasks, left, execution, progress, position.within, reopen):
            if result.error:
                raise result.exception()
            tables.take(stage.name, result.number, result.record)
            if status is not None:
                status.learn(result.record)
            position.finish(result.rows)
            endings.check()
        tables.complete(stage.name, len(tasks))
    if (line := stage.summary(tables)) is not None:
        progress.say(line)


def _followed(tables: Tables, left: list[Task], position: Position) -> contextlib.AbstractContextManager[Status | None]:
    """Return what writes the position of a stage with work left into its run."""
    if not left or not isinstance(tables, StoredTables):
        return contextlib.nullcontext()
    store = tables.folder.store
    return tables.shared(Status, lambda: Status(store)).of_stage(position)


def _results(
    tables: Tables,
    stage: Stage,
    tasks: list[Task],
    left: list[Task],
    execution: Execution,
    progress: Progress,
    within: Callable[[float], None],
    reopen: OpenTables,
) -> Iterator[TaskResult]:
    """Run tasks in this process, or as a Ray Data job."""
    if not left:
        return
    is_alone = stage.is_alone(tables.config, len(tasks))
    if isinstance(tables, StoredTables) and not is_alone and uses_ray(tables.folder.plan.shards, execution):
        from raycluster.executors.ray_data import StageJob, run_on_ray

        arithmetic = current()
        yield from run_on_ray(
            StageJob(
                stage.name, left, reopen, tables.folder.store.url, execution,
                has_gpu=stage.gpu and arithmetic is not None and arithmetic.device == "gpu",
                worker_bytes=worker_bytes(stage, tables), say=progress.say, within=within,
            )
        )  # fmt: skip
    else:
        yield from run_inline(stage, tables, left)
