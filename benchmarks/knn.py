"""Exact kNN of all rows, as one shard: our search against the best faiss flat call of this machine, and the gemm rate.

faiss's wheel brings a BLAS of its own whose kernel depends on OPENBLAS_CORETYPE, read when it is loaded. So each core
type runs in a child process, where faiss (several block sizes) and we take turns; the environment's own setting is one
of them, and our figure is quoted from that one.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import tyro

from measure import interleaved, report, unit_rows
from raycluster.config.stages import KnnConfig
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.stages.knn import search

CORE_TYPES = ("", "Haswell", "Zen", "SkylakeX")
FAISS_BLOCKS = ((4096, 1024), (4096, 4096))


@dataclass
class Args:
    """Size of the search: all `rows` among themselves, as one shard."""

    rows: int = 32_768
    width: int = 256
    k: int = 80
    rounds: int = 2
    child: bool = False
    """Measure in this process only."""


def measure(args: Args) -> dict[str, Any]:
    """Time one core type."""
    vectors = unit_rows(args.rows, args.width)
    own = np.arange(args.rows, dtype=np.int32)
    threads = len(os.sched_getaffinity(0))

    def flat(blocks: tuple[int, int]) -> Any:
        faiss.cvar.distance_compute_blas_query_bs, faiss.cvar.distance_compute_blas_database_bs = blocks
        return faiss.knn(vectors, vectors, args.k, metric=faiss.METRIC_INNER_PRODUCT)

    tile = np.empty((args.rows, 1024), np.float32)
    works: dict[str, Any] = {f"faiss {blocks[0]}x{blocks[1]}": lambda b=blocks: flat(b) for blocks in FAISS_BLOCKS}
    config = KnnConfig(k=args.k, engine="gemm")
    works["ours"] = lambda: search(vectors, 0, args.rows, config, threads)
    works["ours, as a shard"] = lambda: exact_top_k(vectors, own, vectors, args.k, threads)
    works["gemm"] = lambda: [
        np.matmul(vectors, vectors[first : first + 1024].T, out=tile) for first in range(0, args.rows - 1023, 1024)
    ]
    ours, theirs = works["ours"]()[0], flat(FAISS_BLOCKS[0])[1]
    times = interleaved(works, args.rounds)
    operations = 2 * args.rows * args.rows * args.width
    return {
        "seconds": times,
        "gflops": {name: round(operations / min(taken) / 1e9, 1) for name, taken in times.items()},
        "same_neighbors": round(float((np.sort(ours, 1) == np.sort(theirs, 1)).mean()), 6),
    }


def main(args: Args) -> None:
    """Run every core type that this processor can run, then compare."""
    if args.child:
        print(json.dumps(measure(args)))
        return
    results = {}
    for core in CORE_TYPES:
        env = {**os.environ, **({"OPENBLAS_CORETYPE": core} if core else {})}
        child = subprocess.run(
            [sys.executable, *sys.argv, "--child"], env=env, capture_output=True, text=True, check=False
        )
        if child.returncode == 0:
            results[core or "as it is"] = json.loads(child.stdout)
    rates = {core: found["gflops"] for core, found in results.items()}
    best = max(rate for found in rates.values() for name, rate in found.items() if name.startswith("faiss"))
    ours = rates["as it is"]["ours"]
    report({
        "benchmark": "exact kNN", "rows": args.rows, "width": args.width, "k": args.k,
        "core_types": results, "best_faiss_gflops": best, "ours_gflops": ours, "ratio": round(ours / best, 3),
    })  # fmt: skip


if __name__ == "__main__":
    main(tyro.cli(Args))
