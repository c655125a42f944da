"""What `--dry-run` says against what the run then takes: seconds and GiB stored a stage, the edges and the peak memory.

A run is measured in a process of its own, so that its peak is its own. Both are made on the same generated set, one after
the other: on a machine whose load changes between the two, the ratios say so. The measured peak counts the memory maps that
are in memory, so the estimated one has those added here.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from measure import peak_gib, report
from raycluster.config.load import load_config
from raycluster.estimate.forecast import EstimateOptions, dry_run
from raycluster.pipeline import run as pipeline
from raycluster.pipeline.run import STAGES, Execution
from raycluster.storage.run_folder import Run
from raycluster.synthetic.generator import SyntheticConfig, write_parquet


@dataclass
class Args:
    """Sizes to compare."""

    rows: tuple[int, ...] = (100_000, 300_000, 1_000_000)
    width: int = 256
    recipe: str = "cosine"
    executor: str = "local"
    probe_seconds: float = 50.0
    mean_size: float = 70.0
    folder: str | None = None
    """Where sets and runs are made; none means the temporary folder. Space for a million rows: 6 GiB."""
    child: str | None = None
    """Run on this folder's input in this process only."""


def measured(args: Args, folder: str) -> dict[str, Any]:
    """Run the job in this process: seconds a stage, bytes a stage, edges, peak memory."""
    execution = Execution(executor="local") if args.executor == "local" else Execution(executor="ray")
    summary = pipeline.cluster(f"{folder}/input", f"{folder}/run", load_config(args.recipe), execution)
    run = Run(f"{folder}/run", STAGES)
    stored = {name: sum(part.stat().st_size for part in Path(f"{folder}/run/{path}").glob("part-*"))
              for name, path in run.folders.items()}  # fmt: skip
    stored_edges = sum(run.marker("edges", shard)["rows"] for shard in range(run.shards))
    return {"seconds": summary["seconds"], "stored": stored, "links": summary["edges"], "edges": stored_edges,
            "peak_gib": peak_gib()}  # fmt: skip


def compare(args: Args, rows: int, folder: str) -> dict[str, Any]:
    """One size: estimated over measured, for everything both know."""
    write_parquet(SyntheticConfig(rows=rows, width=args.width, mean_size=args.mean_size), f"{folder}/input")
    execution = Execution(executor="local") if args.executor == "local" else Execution(executor="ray")
    options = EstimateOptions(probe_seconds=args.probe_seconds)
    told = dry_run(f"{folder}/input", f"{folder}/run", load_config(args.recipe), execution, options)
    words = [sys.executable, __file__, "--recipe", args.recipe, "--executor", args.executor, "--child", folder]
    child = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(child.stdout)
    stages = {stage["stage"]: stage for stage in told["stages"] if stage["stage"] in found["seconds"]}
    total = sum(stage["seconds"] for stage in stages.values())
    peak = max(max(stage["driver_gib"], stage["worker_gib"]) + stage["copies_gib"] for stage in stages.values())
    return {
        "rows": rows,
        "probe": {name: told["rates"][name] for name in ("rows", "seconds", "gemm_gflops")},
        "seconds": {name: [stage["seconds"], found["seconds"][name]] for name, stage in stages.items()},
        "ratio": {
            name: round(stage["seconds"] / max(found["seconds"][name], 1e-3), 3) for name, stage in stages.items()
        },
        "total": [round(total, 1), round(sum(found["seconds"].values()), 1)],
        "total_ratio": round(total / sum(found["seconds"].values()), 3),
        "links_ratio": round(told["edges"]["in_force"] / found["links"], 3),
        "edges_ratio": round(told["edges"]["stored"] / found["edges"], 3),
        "stored_ratio": {
            name: round(stage["stored_gib"] * 2**30 / found["stored"][name], 3) for name, stage in stages.items()
        },
        "peak_gib": [round(peak, 3), found["peak_gib"]],
        "peak_ratio": round(peak / found["peak_gib"], 3),
    }


def main(args: Args) -> None:
    """Compare every size; print a line a size as it is there, and all of them at the end."""
    if args.child:
        print(json.dumps(measured(args, args.child)))
        return
    results = []
    for rows in args.rows:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            results.append(compare(args, rows, folder))
        print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    report({"benchmark": "estimate", "recipe": args.recipe, "width": args.width, "sizes": results})


if __name__ == "__main__":
    main(tyro.cli(Args))
