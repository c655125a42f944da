"""A run folder whose first worker on one task is killed, for tests that Ray replaces workers."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from raycluster.pipeline.run import open_run
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Output, Task

STAGE, TASK = "knn", 2
"""The task whose first worker dies."""


class DyingTables(StoredTables):
    """Tables whose process is killed once, when the task is computed and not yet stored."""

    def commit(self, stage: str, task: Task, output: Output, schema: Any) -> None:
        mark = Path(self.folder.store.url) / "killed"
        if (stage, task.number) == (STAGE, TASK) and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        super().commit(stage, task, output, schema)


def open_dying(url: str, threads: int) -> StoredTables:
    """Open a run folder on local disk as `open_run` does."""
    run = open_run(url, threads)
    return DyingTables(run.folder, threads, run.cluster_subset)


def attempts(url: str | Path) -> dict[int, int]:
    """How often workers began each task of the stage."""
    counts: dict[int, int] = {}
    for path in Path(url).glob(f"stages/{STAGE}/*/attempts/*/*"):
        task = int(path.parent.name[-5:])
        counts[task] = counts.get(task, 0) + 1
    return counts


@contextmanager
def sent_by_value(*modules: ModuleType) -> Iterator[None]:
    """Let Ray send what these modules and this one define to workers, which do not find modules of tests."""
    from ray.cloudpickle import register_pickle_by_value, unregister_pickle_by_value

    sent = (sys.modules[__name__], *modules)
    for module in sent:
        register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in sent:
            unregister_pickle_by_value(module)
