"""What a run holds on its node's disk, stage by stage: copies in scratch, and the run folder beside them.

    python -m benchmarks disks --before ../raycluster-0.1

Runs the job of this checkout in one process, and that of an older one, on the same generated rows. A file that was removed
counts as long as a process has it mapped.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Rows, Tables
from raycluster.errors import InputError
from raycluster.pipeline.results import Results
from raycluster.synthetic.generator import SyntheticConfig, write_parquet

ROOT = Path(__file__).parents[2]
SECONDS = 0.01
"""Time between two looks at the folders. A copy of small sets lives for a tenth of a second."""
MIB = 2.0**20
"""Bytes of a MiB."""


@dataclass
class Args(Options):
    """Sizes of the run, and an older checkout."""

    before: str | None = None
    """Folder of an older checkout; none measures this one alone."""
    rows: int = 20_000
    width: int = 128
    k: int = 80
    shards: int = 6
    recipe: str = "auto"


@dataclass
class Held:
    """The most bytes of scratch, and of scratch and run folder together."""

    scratch: int = 0
    both: int = 0
    files: dict[str, int] = field(default_factory=dict)
    """Copies in scratch at its peak, by column."""
    by_stage: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The most bytes of scratch and of the run folder while a stage was the last that had begun."""

    def see(self, stage: str, copies: dict[str, int], run: int) -> None:
        """Take one look."""
        total = sum(copies.values())
        if total > self.scratch:
            self.scratch, self.files = total, copies
        self.both = max(self.both, total + run)
        most, most_run = self.by_stage.get(stage, (0, 0))
        self.by_stage[stage] = max(most, total), max(most_run, run)


def sizes(folder: Path) -> dict[tuple[int, int], tuple[str, int]]:
    """Return name and size of all files of a folder by device and inode."""
    found = {}
    for path in folder.rglob("*"):
        with suppress(OSError):
            info = path.lstat()
            if path.is_file():
                found[info.st_dev, info.st_ino] = path.name, info.st_size
    return found


def mapped(folder: Path, processes: Iterator[int]) -> dict[tuple[int, int], tuple[str, int]]:
    """Return name and size of removed files of a folder that processes still have mapped."""
    found: dict[tuple[int, int], tuple[str, int]] = {}
    for pid in processes:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                if str(folder) in line and line.endswith("(deleted)"):
                    area, _, _, device, inode, *_ = line.split()
                    major, minor = (int(part, 16) for part in device.split(":"))
                    begin, end = (int(part, 16) for part in area.split("-"))
                    name = Path(line.removesuffix(" (deleted)")).name
                    found[os.makedev(major, minor), int(inode)] = name, end - begin
    return found


def family(pid: int) -> Iterator[int]:
    """Yield a process and its children."""
    yield pid
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def column_of(name: str) -> str:
    """Return stage and column of a copy from its name, which begins with a fingerprint."""
    words = name.removesuffix(".part").removesuffix(".npy").removesuffix(".npy.json").split("-")
    return ".".join(words[1:3])


def watched(checkout: Path, source: Path, folder: Path, args: Args) -> tuple[Held, float]:
    """Run one checkout's job; returns what it held, and its processor seconds."""
    scratch, run = folder / "scratch", folder / "run"
    scratch.mkdir(parents=True)
    words = [sys.executable, "jobs/cluster.py", "--input", str(source), "--output", str(run), "--recipe", args.recipe]
    words += ["--executor", "local", "--shards", str(args.shards), "--knn.k", str(args.k)]
    env = {**os.environ, "PYTHONPATH": str(checkout), "RAYCLUSTER_SCRATCH": str(scratch)}
    held, before = Held(), os.times()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=checkout, env=env, stdout=log, stderr=log)
        while process.poll() is None:
            begun = [path for path in (run / "stages").glob("*") if path.is_dir()]
            stage = max(begun, key=lambda path: path.stat().st_ctime_ns, default=Path("plan")).name
            copies: dict[str, int] = {}
            for name, size in (sizes(scratch) | mapped(scratch, family(process.pid))).values():
                copies[column_of(name)] = copies.get(column_of(name), 0) + size
            held.see(stage, copies, sum(size for _, size in sizes(run).values()))
            time.sleep(SECONDS)
    if process.returncode:
        raise InputError(f"The job of {checkout} failed: {(folder / 'log').read_text(errors='replace')[-500:]}")
    after = os.times()
    left = [path for path in scratch.rglob("*") if path.is_file()]
    assert not left or checkout != ROOT, f"{left} are left on the node"
    return held, after.children_user + after.children_system - before.children_user - before.children_system


def tables(args: Args) -> Tables:
    """Yield the peaks of both checkouts, their files, and the peaks of every stage."""
    checkouts = {"before": Path(args.before).resolve()} if args.before else {}
    peaks: Rows = []
    files: Rows = []
    stages: Rows = []
    with tempfile.TemporaryDirectory() as name:
        source, labels = Path(name) / "rows", []
        config = SyntheticConfig(rows=args.rows, width=args.width, mean_size=10, max_size=60)
        write_parquet(config, str(source), rows_per_file=-(-args.rows // 4))
        for which, checkout in {**checkouts, "this": ROOT}.items():
            held, seconds = watched(checkout, source, Path(name) / which, args)
            peaks.append(
                {
                    "checkout": which,
                    "scratch MiB": held.scratch / MIB,
                    "scratch and run folder MiB": held.both / MIB,
                    "processor seconds": seconds,
                }
            )
            files += [
                {"checkout": which, "copy": copy, "MiB": size / MIB}
                for copy, size in sorted(held.files.items(), key=lambda item: -item[1])
                if size > MIB / 100
            ]
            stages += [
                {"checkout": which, "last stage begun": stage, "scratch MiB": copies / MIB, "run folder MiB": run / MIB}
                for stage, (copies, run) in held.by_stage.items()
            ]
        labels = Results.of(str(Path(name) / "this" / "run")).labels().num_rows
        assert labels == args.rows, "every row has a label"
        if args.before:
            first, last = peaks
            shares = {column: f"{100 * last[column] / first[column]:.0f} %" for column in first if column != "checkout"}
            peaks.append({"checkout": "share", **shares})
        yield f"most bytes of a local run, {args.recipe}, width {args.width}, {args.k} neighbors", peaks
        yield "copies at the peak of scratch", files
        yield "peaks of every stage", stages


def _small(folder: str) -> Args:  # noqa: ARG001
    """Return arguments for few rows."""
    return Args(rows=600, width=16, k=10, shards=2)


BENCHMARK = Benchmark(Args, tables, quick=_small)
