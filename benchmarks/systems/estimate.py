"""Estimates of `--dry-run` against the run: seconds, bytes, edges, memory.

    python -m benchmarks estimate

Both are made on the same generated set, one after the other; the run has a process of its own, so that its peak is its
own. On a machine whose load changes between the two, the ratios show it. The measured peak counts the memory maps that
are in memory, so the estimated one has those added.
"""

import tempfile
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.measuring.isolation import call
from benchmarks.measuring.runs import clustered, stored_bytes, stored_edges
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.measuring.timing import peak_gib
from raycluster.config.estimate import EstimateOptions
from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.estimate.forecast import dry_run
from raycluster.synthetic.generator import SyntheticConfig, write_parquet


@dataclass
class Args(Options):
    """Sizes to compare."""

    rows: tuple[int, ...] = (100_000, 300_000, 1_000_000)
    width: int = 256
    recipe: str = "cosine"
    executor: Literal["local", "ray"] = "local"
    probe_seconds: float = 50.0
    mean_size: float = 70.0
    folder: str | None = None
    """Folder of sets and runs; none means the temporary folder. A million rows need 6 GiB."""


def measured(args: Args, folder: str) -> dict[str, Any]:
    """Return what a run takes: seconds and bytes per stage, edges, peak memory."""
    url = f"{folder}/run"
    summary = clustered(f"{folder}/input", url, load_config(args.recipe), executor=args.executor)
    return {"seconds": summary["seconds"], "stored": stored_bytes(url), "links": summary["edges"],
            "edges": stored_edges(url), "peak_gib": peak_gib()}  # fmt: skip


def compare(args: Args, rows: int, folder: str) -> tuple[Rows, Row]:
    """Return a row per stage of one size, and the row of the whole run.

    Ratios are estimated over measured.
    """
    write_parquet(SyntheticConfig(rows=rows, width=args.width, mean_size=args.mean_size), f"{folder}/input")
    options = EstimateOptions(probe_seconds=args.probe_seconds)
    execution = Execution(executor=args.executor)
    told = dry_run(f"{folder}/input", f"{folder}/run", load_config(args.recipe), execution, options).to_json()
    run = call(measured, args, folder)
    stages = {stage["stage"]: stage for stage in told["stages"] if stage["stage"] in run["seconds"]}
    by_stage = [
        {"stage": name, "estimated s": stage["seconds"], "measured s": run["seconds"][name],
         "ratio": stage["seconds"] / max(run["seconds"][name], 1e-3),
         "ratio of stored bytes": stage["stored_gib"] * 2**30 / max(run["stored"][name], 1)}
        for name, stage in stages.items()
    ]  # fmt: skip
    total, took = sum(stage["seconds"] for stage in stages.values()), sum(run["seconds"].values())
    peak = max(max(stage["driver_gib"], stage["worker_gib"]) + stage["copies_gib"] for stage in stages.values())
    return by_stage, {
        "rows": rows, "estimated s": total, "measured s": took, "ratio": total / took,
        "ratio of links": told["edges"]["in_force"] / run["links"],
        "ratio of edges": told["edges"]["stored"] / run["edges"],
        "estimated GiB": peak, "measured GiB": run["peak_gib"], "ratio of memory": peak / run["peak_gib"],
        **{f"probe, {name}": told["rates"][name] for name in ("rows", "seconds", "gemm_gflops")},
    }  # fmt: skip


def tables(args: Args) -> Tables:
    """Yield the stages of each size, then the sizes."""
    whole: Rows = []
    for rows in args.rows:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            by_stage, row = compare(args, rows, folder)
        whole.append(row)
        yield f"{args.recipe}, {rows:,} rows x {args.width}, by stage", by_stage
        yield f"{args.recipe}, width {args.width}", whole


BENCHMARK = Benchmark(Args, tables, quick=lambda _: Args(rows=(2000,), width=32, probe_seconds=1.0))
