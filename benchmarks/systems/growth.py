"""What 1 % more rows take: the work of an update beside that of a full run.

    python -m benchmarks growth --rows 100000 --folder kept

A generated set is clustered without the last rows, which then come as an update. Counters are shares of the full run's: rows
searched, scored and solved, and bytes written. Sets and finished runs are kept in the folder, so that the same command goes
on after an interruption. Seconds are those of the processor, of this process alone.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring.runs import clustered
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import generated
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.measuring.timing import peak_gib
from raycluster.config.load import load_config
from raycluster.evaluation.evaluate import evaluate
from raycluster.identities.job import Order, update_run
from raycluster.storage.object_store import Store
from raycluster.storage.schemas import vector
from raycluster.synthetic.settings import PRESETS, SyntheticConfig

KEPT_SECONDS = 5.0
"""Time between two notes of the seconds so far: a killed attempt loses so much at most."""


@dataclass
class Args(Options):
    """Sizes, and the shape of the set."""

    rows: tuple[int, ...] = (100_000,)
    """Rows of the full run."""
    share: float = 0.01
    """New rows, as a share of these."""
    width: int = 96
    k: int = 30
    preset: str = "dense"
    recipe: str = "cosine"
    threads: int = 2
    again: bool = False
    """Cluster all rows at once, too, and compare."""
    folder: str = "growth"
    """Folder of sets and runs, which are kept."""


class Clock:
    """Seconds of the processor that a piece of work takes, those of killed attempts included."""

    def __init__(self, path: Path) -> None:
        self.path, self.before = path, float(path.read_text("utf-8")) if path.exists() else 0.0
        self.ended, self.began = threading.Event(), time.process_time()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self.before + time.process_time() - self.began

    def _keep(self) -> None:
        while not self.ended.wait(KEPT_SECONDS):
            self.path.write_text(str(self.seconds), "utf-8")

    def __enter__(self) -> "Clock":
        threading.Thread(target=self._keep, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()


class Laboratory:
    """One size: its set, runs and measurements in a folder of their own."""

    def __init__(self, args: Args, rows: int) -> None:
        self.args, self.rows = args, rows
        self.folder = Path(args.folder) / f"{args.preset}-{args.recipe}-{rows}-{args.width}-{args.k}"
        self.config = load_config(args.recipe, {"knn": {"k": args.k}}, "benchmark")

    def files(self) -> None:
        """Write the set as two folders, `base` and `new`, and as one of links, `all`."""
        if (self.folder / "new" / "rows.parquet").exists():
            return
        total = self.rows + int(self.rows * self.args.share)
        settings = {**PRESETS[self.args.preset], "rows": total, "width": self.args.width}
        vectors, label = generated(SyntheticConfig(**settings))
        schema = pa.schema(
            [("id", pa.int64()), ("embedding", vector(pa.float32(), self.args.width)), ("label", pa.int64())]
        )
        for name, start, stop in (("base", 0, self.rows), ("new", self.rows, total)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            (self.folder / "all").mkdir(exist_ok=True)
            flat = pa.array(vectors[start:stop].ravel())
            columns = [
                pa.array(range(start, stop), pa.int64()),
                pa.FixedSizeListArray.from_arrays(flat, type=schema.field("embedding").type),
                pa.array(label[start:stop]),
            ]
            pq.write_table(pa.Table.from_arrays(columns, schema=schema), self.folder / name / "rows.parquet")
            link = self.folder / "all" / f"{name}.parquet"
            link.unlink(missing_ok=True)
            link.hardlink_to(self.folder / name / "rows.parquet")

    def measured(self, name: str, work: Callable[[str], dict[str, Any]]) -> Row:
        """Return the summary of a run, with its seconds and bytes; read where the run is finished."""
        record, url = self.folder / f"{name}.json", str(self.folder / name)
        if not record.exists():
            with Clock(self.folder / f"{name}.seconds") as clock:
                summary = work(url)
            sizes = sum(path.stat().st_size for path in Path(url).rglob("*") if path.is_file())
            found = {**summary, "processor": round(clock.seconds, 2), "bytes": sizes, "peak_gib": peak_gib()}
            record.write_text(json.dumps(found), "utf-8")
        return dict(json.loads(record.read_text("utf-8")))

    def full(self, name: str, rows: str) -> Row:
        """Return the record of a full run."""
        shards = max(1, self.rows // 100_000)
        return self.measured(name, lambda url: clustered(str(self.folder / rows), url, self.config, shards=shards))

    def update(self) -> Row:
        """Return the record of the update."""
        order = Order(inputs=(str(self.folder / "new"),), threads=self.args.threads)
        return self.measured("update", lambda url: update_run(str(self.folder / "full"), url, order))

    def lines(self) -> Row:
        """Return the line of the table."""
        self.files()
        full = self.full("full", "base")
        before = digests(self.folder / "full")
        update = self.update()
        assert digests(self.folder / "full") == before, "the update changed the run before"
        is_scored = int(update["scored"] > 0)
        line = {
            "rows": self.rows,
            "new": update["new"],
            "searched, %": 100 * update["searched"] / self.rows,
            "dirty, %": 100 * update["dirty"] / self.rows,
            "scored, %": 100 * update["scored"] / self.rows * is_scored,
            "touched, %": 100 * update["touched"] / self.rows,
            "solved, %": 100 * update["solved"] / self.rows,
            "moved, %": 100 * update["moved"] / self.rows,
            "rounds": update["rounds"],
            "bytes, %": 100 * update["bytes"] / full["bytes"],
            "full, processor s": full["processor"],
            "update, processor s": update["processor"],
            "seconds, %": 100 * update["processor"] / full["processor"],
            "changed ids": update["changed_ids"],
            "avoidable": update["avoidable_changes"],
        }
        scores = self.scores("update")
        line |= {"F_B, %": 100 * scores["bcubed"]["f"], "F_P, %": 100 * scores["pairwise"]["f"]}
        if self.args.again:
            self.full("again", "all")
            scores = self.scores("again")
            line |= {"F_B at once, %": 100 * scores["bcubed"]["f"], "F_P at once, %": 100 * scores["pairwise"]["f"]}
        return line

    def scores(self, name: str) -> Row:
        """Return how well a run of all rows fits the identities."""
        return dict(evaluate(str(self.folder / name), str(self.folder / "all")))

    def bytes_by_file(self) -> Rows:
        """Return what the update wrote."""
        url = self.folder / "update"
        paths = sorted(path for path in url.rglob("*") if path.is_file())
        return [{"rows": self.rows, "file": str(path.relative_to(url)), "bytes": path.stat().st_size} for path in paths]


def digests(run: Path) -> dict[str, Any]:
    """Return what identifies each object of a run folder."""
    store = Store(str(run))
    return {name: store.identity(name) for name in sorted(store.files())}


def tables(args: Args) -> Tables:
    """Yield a line per size, and the files that each update wrote."""
    lines: Rows = []
    files: Rows = []
    for rows in args.rows:
        laboratory = Laboratory(args, rows)
        lines.append(laboratory.lines())
        yield "work of an update", lines
        files += laboratory.bytes_by_file()
    yield "files that an update wrote", files


BENCHMARK = Benchmark(
    Args,
    tables,
    quick=lambda folder: Args((2_000,), width=32, k=20, preset="demo", again=True, folder=f"{folder}/growth"),
)
