"""Helpers for tests of whole runs: start the job as a user would, read its labels, compare partitions."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from support.command_line import Outcome, call
from support.paths import ROOT

SETTINGS = ["--recipe", "cosine", "--knn.k", "20", "--edges.threshold", "0.6"]


def command(source: str, output: str, *options: str) -> list[str]:
    """The main job's command line with settings that suit the small synthetic set; a model brings its own."""
    job = str(ROOT / "jobs" / "cluster.py")
    settings = () if "--model" in options else SETTINGS
    return [sys.executable, job, "--input", source, "--output", output, "--no-report", *settings, *options]


def here(source: str, output: str, *options: str) -> Outcome:
    """The same command line in this process."""
    words = command(source, output, "--executor", "local", *options)[2:]
    return call("cluster", *words)


def evaluation(folder: str, truth: str, scores: str) -> list[str]:
    """The evaluation's command line, writing its JSON to `scores` as well."""
    job = str(ROOT / "jobs" / "evaluate.py")
    return [sys.executable, job, "--run", folder, "--truth", truth, "--json", scores]


def run(
    arguments: list[str], env: dict[str, str] | None = None, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        arguments, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=timeout, check=False
    )


def interrupted(
    arguments: list[str],
    pattern: str,
    count: int = 1,
    number: signal.Signals = signal.SIGKILL,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a job's command line that gets a signal once it has stored `count` objects whose path matches `pattern`."""
    interpreter, *job = arguments
    script = str(Path(__file__).with_name("interrupted.py"))
    return run([interpreter, script, number.name, pattern, str(count), *job], env)


def labels(folder: str | Path) -> pa.Table:
    """The labels of a finished local run, in the order of ids."""
    return pq.read_table(f"{folder}/labels").sort_by("id")


def looks_finished(folder: str | Path) -> list[str]:
    """Which of the published results exist."""
    names = ("MANIFEST.json", "clusters.parquet", "labels")
    return [name for name in names if (Path(folder) / name).exists()]
