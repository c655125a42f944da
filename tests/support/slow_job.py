"""The main job with tasks that take a while, so that tests can kill what runs in the middle of a stage.

    python tests/support/slow_job.py WORDS      as jobs/cluster.py

The file RUN.slow.json beside the run folder names stages and the seconds that each of their tasks waits before it commits;
`STAGE.once` names those before a stage's facts are recorded. On a node whose variable LAGGARD is set it waits forty times as
long.
"""

import json
import os
import sys
import time
from pathlib import Path

import pyarrow as pa

from raycluster.command_line import run
from raycluster.commands import load
from raycluster.pipeline import run as pipeline
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Facts, Output, Task

LAG = 40.0
"""How many times as long a task takes on a node that lags."""


class SlowTables(StoredTables):
    """Tables of a run folder that take their time to commit."""

    def commit(self, stage: str, task: Task, output: Output, schema: pa.Schema) -> None:
        """Wait, then commit."""
        seconds = json.loads(Path(f"{self.folder.store.url}.slow.json").read_text()).get(stage, 0.0)
        time.sleep(seconds * (LAG if os.environ.get("LAGGARD") else 1.0))
        super().commit(stage, task, output, schema)

    def put_facts(self, stage: str, facts: Facts) -> None:
        """Wait, then record what a stage found out once."""
        time.sleep(json.loads(Path(f"{self.folder.store.url}.slow.json").read_text()).get(f"{stage}.once", 0.0))
        super().put_facts(stage, facts)


def open_slow(url: str, threads: int) -> SlowTables:
    """Open a run folder as `open_run` does."""
    opened = _open_run(url, threads)
    return SlowTables(opened.folder, threads, opened.cluster_subset)


_open_run = pipeline.open_run

if __name__ == "__main__":
    from support import slow_job  # workers find the module by this name

    pipeline.open_run = slow_job.open_slow  # type: ignore[assignment]
    pipeline.StoredTables = slow_job.SlowTables  # type: ignore[misc]
    run(load("cluster"), sys.argv[1:], "tests/support/slow_job.py")
