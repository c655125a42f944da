"""Jobs on a cluster of raylets: started beside a test, waited for, killed; and what their run folder holds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from support.paths import ROOT
from support.raylets import Raylets, until
from support.runs import labels

SLOW_JOB = str(ROOT / "tests" / "support" / "slow_job.py")


@dataclass
class Job:
    """A driver of the slow job, and its run folder."""

    process: subprocess.Popen[bytes]
    output: Path
    log: Path

    def marked(self, stage: str) -> int:
        """Shards of a stage that are done."""
        return len(list(self.output.glob(f"stages/{stage}/*/done/*.json")))

    def attempts(self, stage: str) -> int:
        """Workers that began a shard of a stage, in all starts of the job."""
        return len(list(self.output.glob(f"stages/{stage}/*/attempts/*/*")))

    def begun(self, stage: str) -> bool:
        """Whether the stage's first shard has begun."""
        return self.attempts(stage) > 0 or self.marked(stage) > 0

    def until_marked(self, stage: str, count: int = 1) -> float:
        """Wait until so many shards of a stage are done; returns the seconds."""

        def reached() -> bool:
            if self.marked(stage) >= count:
                return True
            assert self.process.poll() is None, self.text()
            return False

        return until(reached, f"{count} shards of {stage}", seconds=240, every=0.05)

    def finished(self, timeout: float = 240) -> int:
        """Wait for the end; returns the exit code."""
        return self.process.wait(timeout)

    def kill(self) -> None:
        """End the driver at once."""
        self.process.kill()
        self.process.wait()

    def text(self) -> str:
        """What the driver has printed."""
        return self.log.read_text(errors="replace")


@contextmanager
def slow_job(
    cluster: Raylets, source: str, output: Path, *words: str, slow: str = "", seconds: float = 0.0
) -> Iterator[Job]:
    """A driver of the slow job; leaving the block ends it. `slow` names stages, separated by commas."""
    log = cluster.folder / f"job-{output.name}.log"
    Path(f"{output}.slow.json").write_text(json.dumps(dict.fromkeys(slow.split(","), seconds)))
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, SLOW_JOB, "--input", source, "--output", str(output), *words],
            env=cluster.env, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
    try:
        yield Job(process, output, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def faults(output: Path, expected: Path, source: str) -> dict[str, object]:
    """Rows that a finished run has lost or doubled, and whether its labels are those of another."""
    found, rows = labels(output), pq.read_table(source, columns=["id"]).num_rows
    distinct = pc.count_distinct(found["id"]).as_py()
    return {"lost": rows - distinct, "doubled": found.num_rows - distinct, "equal": found.equals(labels(expected))}


FAULTLESS = {"lost": 0, "doubled": 0, "equal": True}
