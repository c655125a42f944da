"""All benchmarks of the papers, one after the other: which take how long?

    python -m benchmarks suite --folder work --scale small

Every script runs in a process of its own. Processor seconds are user and system time of that process and of those it started, on
all its threads. `minutes on two cores` is half of them: what they take where nothing else runs and both cores have work. Scripts
that were finished in the folder are not run again, and keep their seconds. Their tables lie there as NAME.json. Without `train`
and `test` those that need labelled sets get generated ones.
"""

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.papers._laboratory import generated
from raycluster.errors import RayclusterError

Scale = Literal["small", "documented"]
K = 20
"""Neighbors per row at the small scale. Lists and identities are a quarter as long as in MS1M."""
SETS = "--train-rows 2000 --test-rows 1500 --knn-k 20 --steps 40 --filter-steps 80 --infomap-seeds 1 2"
"""S1's sets and networks at the small scale, which three scripts share."""
WORDS: dict[str, dict[Scale, str]] = {
    "quoted": {"small": "", "documented": ""},
    "table3": {"small": f"{SETS} --seeds 0", "documented": ""},
    "table2": {"small": f"{SETS} --seeds 0", "documented": ""},
    "figure5": {"small": f"{SETS} --seeds 0 --forms row", "documented": "--seeds 0 1 2 3 4 --forms row"},
    "by_k": {"small": f"{SETS} --seeds 0 --ks 20 40 --set-k 20", "documented": ""},
    "filters": {"small": "--rows 1500 --knn-k 20 --steps 80 --seeds 0", "documented": ""},
    "ceilings": {"small": "--knn-k 20 --infomap-seeds 1", "documented": ""},
    "published_scale": {"small": "--sample 400 --steps 1 --batch 4", "documented": "--steps 2 --batch 32"},
    "hard_clusters": {"small": "--knn-k 20", "documented": ""},
    "hard_figures": {"small": "--knn-k 20", "documented": ""},
    "lcepce": {"small": "--knn-k 20 --seeds 0 1 --steps 40", "documented": "--steps 300"},
    "long_tails": {"small": "--knn-k 20 --steps 40 --filter-steps 80", "documented": ""},
    "face_transformer": {
        "small": "--seeds 0 --steps 40 --tables 5 6 iterated",
        "documented": "--steps 300 --tables 5 6 iterated",
    },
    "ablation": {"small": "--knn-k 20 --k 20 --steps 40 --filter-steps 80", "documented": ""},
}
"""Options of every script by scale. `documented` are those of the tables in docs/papers.md."""
SHARED = {"table2": "table3", "figure5": "table3"}
"""Scripts that go on in the folder of another."""
LABELLED = ("ceilings", "hard_clusters", "hard_figures", "lcepce", "long_tails", "face_transformer", "ablation")
"""Scripts that read labelled sets."""
TRAINING = LABELLED[3:]
"""Those of them that train."""


@dataclass
class Args(Options):
    """A folder for everything."""

    folder: str
    scale: Scale = "small"
    """`small`: sizes at which all of it takes minutes, and differences mean little; `documented`: those of docs/papers.md."""
    train: str | None = None
    """Labelled Parquet (id, embedding, label) to train on; none means a generated set."""
    test: str | None = None
    only: tuple[str, ...] = tuple(WORDS)
    """Scripts to run, in this order."""


def command(args: Args, name: str) -> list[str]:
    """Return the command of a script."""
    train = args.train or generated(args.folder, 1500, 101, K)
    test = args.test or generated(args.folder, 1000, 202, K)
    words = [sys.executable, "-m", "benchmarks", name, "--json", f"{args.folder}/{name}.json"]
    if name != "quoted":
        words += ["--folder", f"{args.folder}/{SHARED.get(name, name)}"]
    if name in TRAINING:
        words += ["--train", train]
    if name in LABELLED:
        words += ["--test", test]
    return words + WORDS[name][args.scale].split()


def measured(args: Args, name: str) -> Row:
    """Return the seconds of a script, from their file where it was finished; runs it elsewhere.

    Raises RayclusterError where the script fails.
    """
    kept = Path(args.folder) / f"{name}.seconds.json"
    if not kept.exists():
        words, before, began = command(args, name), _processor_seconds(), time.perf_counter()
        log = Path(args.folder) / f"{name}.log"
        with log.open("w", encoding="utf-8") as to:
            code = subprocess.run(words, stdout=to, stderr=to, check=False).returncode
        if code:
            raise RayclusterError(f"{name} ended with exit code {code}; {log} holds what it printed.")
        seconds = {"processor seconds": _processor_seconds() - before, "wall seconds": time.perf_counter() - began}
        kept.write_text(json.dumps(seconds))
    return {"script": name, **json.loads(kept.read_text())}


def _processor_seconds() -> float:
    """Return the user and system time of all processes that this one started and that ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def tables(args: Args) -> Tables:
    """Yield the table as it grows."""
    Path(args.folder).mkdir(parents=True, exist_ok=True)
    rows: Rows = []
    for name in args.only:
        rows.append(measured(args, name))
        whole = {column: sum(float(row[column]) for row in rows) for column in ("processor seconds", "wall seconds")}
        total = {"script": "all", **whole, "minutes on two cores": whole["processor seconds"] / 2 / 60}
        yield f"the suite at --scale {args.scale}", [*rows, total]


BENCHMARK = Benchmark(Args, tables, lambda folder: Args(folder=folder, only=("quoted",)))
