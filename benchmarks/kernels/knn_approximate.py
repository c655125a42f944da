"""kNN at a target recall: our inverted lists, our exact search, faiss IVF.

    python -m benchmarks knn_approximate

Every size runs in a process of its own, so that its peak memory is its own. On a machine with other work, CPU seconds are
the fairer measure. Above `exact_rows` the exact time is that of the largest size measured, scaled by the pairs; faiss
searches `faiss_rows` queries, and its time is scaled to all.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import faiss
import numpy as np

from benchmarks.measuring.isolation import call
from benchmarks.measuring.machine import cores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import generated
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.measuring.timing import Timed, peak_gib, timed
from raycluster.arrays import Float32, Int32, Vectors
from raycluster.config.stages import KnnConfig
from raycluster.kernels.search.inverted_file import InvertedFile, assign_lists
from raycluster.kernels.search.list_search import Probing, list_top_k
from raycluster.kernels.search.recall import Recall, measure, sample_rows
from raycluster.kernels.search.self_join import self_top_k
from raycluster.stages import coarse_lists, knn
from raycluster.synthetic.generator import PRESETS, SyntheticConfig

TIMES = ("wall s", "CPU s")
GEMM_ROWS, GEMM_TILE = 8192, 1024
"""Rows of a plain matrix product and columns of one of its 8 tiles, as large as those of our own search."""
FAISS_SAMPLE = 512
"""Queries on which the probes of faiss are chosen; the standard error of their recall is about 0.001."""


@dataclass
class Args(Options):
    """What to search: all rows among themselves."""

    rows: tuple[int, ...] = (100_000, 200_000)
    """Sizes, ascending."""
    preset: Literal["dense", "long-tail", "large"] = "dense"
    """`dense` is like MS1M: about 70 rows per identity, look-alikes everywhere."""
    width: int = 256
    k: int = 80
    recall: float = 0.98
    exact_rows: int = 100_000
    """Largest size that is searched exactly in full."""
    faiss_rows: int = 8192
    """Queries of faiss; 0 leaves it out."""


def gemm(vectors: Vectors) -> Row:
    """Return the rate of plain matrix products, the best of five runs."""
    head, tile = vectors[:GEMM_ROWS], np.empty((min(GEMM_ROWS, len(vectors)), GEMM_TILE), np.float32)
    ends = range(GEMM_TILE, len(head) + 1, GEMM_TILE)

    def products() -> None:
        for end in ends:
            np.matmul(head, vectors[end - GEMM_TILE : end].T, out=tile)

    operations = 2e-9 * len(head) * len(ends) * GEMM_TILE * vectors.shape[1]
    runs = [timed(products) for _ in range(5)]
    return {"GFLOP/wall s": operations / min(run.wall for run in runs),
            "GFLOP/CPU s": operations / min(run.cpu for run in runs)}  # fmt: skip


def total(steps: dict[str, Timed]) -> Row:
    """Return the times of several steps, added up."""
    return Timed(None, sum(step.wall for step in steps.values()), sum(step.cpu for step in steps.values())).columns


def by_lists(vectors: Vectors, config: KnnConfig, threads: int) -> Rows:
    """Return the rows of the whole approximate search and of its steps."""
    own = np.arange(len(vectors), dtype=np.int32)

    def build() -> InvertedFile:
        centroids = coarse_lists.train(vectors, config, threads)
        return InvertedFile.group(centroids, assign_lists(vectors, centroids, threads)).coded(vectors, threads)

    def search() -> tuple[Int32, Float32]:
        return list_top_k(vectors, own, vectors, index, Probing(chosen["nearest"], chosen["margin"]), config.k, threads)

    steps = {"building the lists": timed(build)}
    index = steps["building the lists"].result
    steps["choosing what to read"] = timed(lambda: knn.choose_reading(vectors, config, index, threads))
    chosen = steps["choosing what to read"].result
    steps["search"] = timed(search)
    neighbor, similarity = steps["search"].result
    steps["measuring recall"] = timed(lambda: knn.measure_recall(vectors, 0, neighbor, similarity, config, threads))
    recall: Recall = steps["measuring recall"].result
    row = {"method": "inverted lists", **total(steps), "lists": len(index.centroids), "recall": recall.mean,
           "recall error": recall.error, "read": str(chosen), "peak GiB": peak_gib()}  # fmt: skip
    return [row, *({"method": f"inverted lists: {name}", **step.columns} for name, step in steps.items())]


def by_faiss(vectors: Float32, args: Args, lists: int, threads: int) -> Row:
    """Return the row of faiss IVF with as many lists.

    Probes are doubled until they reach the recall.
    """
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(args.width), args.width, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.max_points_per_centroid = 5, coarse_lists.SAMPLE_PER_LIST

    def build() -> None:
        index.train(vectors)
        index.add(vectors)

    building = timed(build)
    rows = sample_rows(len(vectors), FAISS_SAMPLE, (1,))
    index.nprobe = 8
    while True:
        similarity, neighbor = index.search(vectors[rows], args.k)
        recall = measure(rows, neighbor.astype(np.int32), similarity + np.float32(1e-6), vectors, threads)
        if recall.mean >= args.recall or index.nprobe >= lists:
            break
        index.nprobe = min(2 * index.nprobe, lists)
    queries = vectors[: args.faiss_rows]
    searching, scale = timed(lambda: index.search(queries, args.k)), len(vectors) / len(queries)
    whole = Timed(None, searching.wall * scale, searching.cpu * scale)
    return {
        "method": "faiss IVF", **total({"build": building, "search": whole}), "lists": lists, "recall": recall.mean,
        "read": f"{index.nprobe} probes", "queries measured": len(queries),
    }  # fmt: skip


def of_size(args: Args, rows: int) -> Rows:
    """Return the table of one size."""
    threads = cores()
    vectors, _ = generated(SyntheticConfig(**{**PRESETS[args.preset], "rows": rows, "width": args.width}))
    config = KnnConfig(k=args.k, recall=args.recall, index="ivf", engine="gemm")
    few = np.ascontiguousarray(vectors[:4096])
    by_lists(few, config, threads)  # compiles every kernel
    self_top_k(few, args.k, threads)
    before = gemm(vectors)
    table = by_lists(vectors, config, threads)
    if rows <= args.exact_rows:
        exact = timed(lambda: self_top_k(vectors, args.k, threads)).columns
        after, operations = gemm(vectors), 2e-9 * rows * rows * args.width
        shares = {f"share of gemm, {name}": 2 * operations / exact[name] / (before[rate] + after[rate])
                  for name, rate in zip(TIMES, before, strict=True)}  # fmt: skip
        table.append({"method": "exact", **exact, **shares, "peak GiB": peak_gib()})
    if args.faiss_rows:
        table.append(by_faiss(vectors, args, table[0]["lists"], threads))
    return [*table, {"method": "gemm", **before}]


def tables(args: Args) -> Tables:
    """Yield a table per size, then how times grow."""
    lists: dict[int, Row] = {}
    reference: tuple[int, Row] | None = None
    for rows in args.rows:
        table = call(of_size, args, rows)
        made: dict[str, Any] = {row["method"]: row for row in table}
        lists[rows] = made["inverted lists"]
        if "exact" in made:
            reference = rows, made["exact"]
        elif reference:
            scale = (rows / reference[0]) ** 2
            made["exact"] = {"method": "exact", **{name: round(scale * reference[1][name], 1) for name in TIMES},
                             "scaled from": reference[0]}  # fmt: skip
            table.append(made["exact"])
        if "exact" in made:
            lists[rows] |= {f"of exact, {name}": lists[rows][name] / made["exact"][name] for name in TIMES}
        yield f"{rows:,} rows of {args.preset} x {args.width}, K {args.k}, recall {args.recall}", table
    first, last = min(lists), max(lists)
    if last > first:
        growth = {name: math.log(lists[last][name] / lists[first][name]) / math.log(last / first) for name in TIMES}
        yield "exponent of the time of inverted lists in the rows", [growth]


def _quick(_: str) -> Args:
    return Args(rows=(2500, 5000), width=32, k=10, exact_rows=2500, faiss_rows=500, recall=0.9)


BENCHMARK = Benchmark(Args, tables, _quick)
