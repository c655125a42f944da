"""Exact kNN of all rows: our search, faiss's flat index, matrix products.

    python -m benchmarks knn

faiss's wheel brings a BLAS of its own whose kernel depends on OPENBLAS_CORETYPE, read when it is loaded. So each core
type has a process of its own, where faiss (two block sizes) and we take turns. "as it is" leaves the environment's own
setting; our figure is quoted from that one. A core type that this processor cannot run is a row that failed.
"""

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from benchmarks.measuring.isolation import Failed, call
from benchmarks.measuring.machine import cores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import unit_rows
from benchmarks.measuring.tables import Rows, Tables
from benchmarks.measuring.timing import interleaved
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.kernels.search.self_join import self_top_k

FAISS_BLOCKS = ((4096, 1024), (4096, 4096))
"""Rows of queries and of vectors per matrix product of faiss: its default, and the faster one of those tried."""
TILE = 1024
"""Columns of a plain matrix product: the size of our own tiles."""


@dataclass
class Args(Options):
    """Size of the search: all `rows` among themselves, as one shard."""

    rows: int = 32_768
    width: int = 256
    k: int = 80
    rounds: int = 2
    core_types: tuple[str, ...] = ("", "Haswell", "Zen", "SkylakeX")
    """Values of OPENBLAS_CORETYPE; an empty one leaves it as it is."""


def of_core_type(args: Args) -> Rows:
    """Return a row per method, timed with the BLAS kernels of this process."""
    vectors = unit_rows(args.rows, args.width)
    own, threads = np.arange(args.rows, dtype=np.int32), cores()
    tile = np.empty((args.rows, TILE), np.float32)

    def flat(queries: int, database: int) -> Any:
        faiss.cvar.distance_compute_blas_query_bs, faiss.cvar.distance_compute_blas_database_bs = queries, database
        return faiss.knn(vectors, vectors, args.k, metric=faiss.METRIC_INNER_PRODUCT)

    def products() -> None:
        for first in range(0, args.rows - TILE + 1, TILE):
            np.matmul(vectors, vectors[first : first + TILE].T, out=tile)

    works: dict[str, Any] = {f"faiss {one}x{other}": lambda one=one, other=other: flat(one, other)
                             for one, other in FAISS_BLOCKS}  # fmt: skip
    works["ours"] = lambda: self_top_k(vectors, args.k, threads)
    works["ours, as a shard"] = lambda: exact_top_k(vectors, own, vectors, args.k, threads)
    works["gemm"] = products
    ours, theirs = works["ours"]()[0], flat(*FAISS_BLOCKS[0])[1]
    same = float((np.sort(ours, 1) == np.sort(theirs, 1)).mean())
    operations = 2 * args.rows * args.rows * args.width
    return [
        {"method": name, "seconds": times, "GFLOP/s": operations / min(times) / 1e9}
        | ({"share of faiss's neighbors": same} if name == "ours" else {})
        for name, times in interleaved(works, args.rounds).items()
    ]


def tables(args: Args) -> Tables:
    """Yield the rates of each core type, then ours beside the best of faiss."""
    rows: Rows = []
    for core in args.core_types:
        core_type = {"OPENBLAS_CORETYPE": core or "as it is"}
        environment = {"OPENBLAS_CORETYPE": core} if core else {}
        try:
            rows += [core_type | row for row in call(of_core_type, args, environment=environment)]
        except Failed as error:
            rows.append(core_type | {"failed": str(error)})
    yield f"exact kNN, {args.rows:,} x {args.width}, K {args.k}", rows
    made = [row for row in rows if "failed" not in row]
    best = max((row for row in made if row["method"].startswith("faiss")), key=lambda row: row["GFLOP/s"])
    ours = next(row for row in made if row["method"] == "ours")
    yield "ours and the best of faiss", [{**ours, "share of faiss's rate": ours["GFLOP/s"] / best["GFLOP/s"]}, best]


BENCHMARK = Benchmark(
    Args, tables, quick=lambda _: Args(rows=2048, width=32, k=10, rounds=1, core_types=("", "Haswell", "no such core"))
)
