"""kNN of millions of rows by inverted lists: recall, seconds, memory.

    python -m benchmarks knn_large --rows 3000000 --width 384 --k 15
    python -m benchmarks knn_large --rows 3000000 --width 384 --k 15 --like REAL.parquet

Rows are generated, or drawn again from the geometry of a real set. The search goes shard by shard, as a run does, and keeps
only the measured recall. On a machine with other work, CPU seconds are the fairer measure.

Shapes: N rows, S rows of a real set, D dimensions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmarks.kernels.knn_approximate import gemm
from benchmarks.measuring.isolation import call
from benchmarks.measuring.machine import cores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import embeddings
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.measuring.timing import Timed, peak_gib, timed
from raycluster.arrays import Float32, Vectors
from raycluster.config.stages import KnnConfig
from raycluster.kernels.search.codes import encode, products
from raycluster.kernels.search.inverted_file import InvertedFile, assign_lists
from raycluster.kernels.search.list_search import Probing, list_top_k
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.kernels.search.recall import Recall
from raycluster.stages import coarse_lists, knn
from raycluster.synthetic.generator import PRESETS, SyntheticConfig, generate

NEAR = 10
"""Neighbors of a real row between which and itself new rows lie."""
STEP = 0.5
"""Step of a new row along the difference of another real row and its neighbor. Raising it fills the space between rows."""
BLOCK = 65536
"""Rows that are drawn at once."""
CODED_ROWS = 4096
"""Rows and columns of a product of codes that is timed."""


@dataclass
class Args(Options):
    """What to search: all rows among themselves."""

    rows: int = 300_000
    width: int = 384
    """Of generated rows; real ones keep theirs."""
    k: int = 15
    recalls: tuple[float, ...] = (0.8, 0.98)
    preset: Literal["identities", "dense"] = "identities"
    """`identities` have 70 rows on average and are otherwise the defaults of the generator; `dense` is its preset."""
    like: str | None = None
    """Parquet with a real set's `embedding`, whose geometry new rows have."""
    storage: Literal["float32", "float16"] = "float16"
    shard: int = 200_000
    """Rows searched at once."""
    threads: int = 0
    """0 means all cores."""


def resampled(real: Float32, rows: int, out: Vectors) -> None:
    """Write rows with the local geometry of a real set.

    A row lies between a real row and one of its neighbors, moved along the difference of another such pair.

    Parameters
    ----------
    real : float32 (S, D)
        Unit rows.
    rows : int
        Rows to draw, N.
    out : float32 or float16 (N, D)
        Written.
    """
    near = exact_top_k(real, np.arange(len(real), dtype=np.int32), real, min(NEAR + 1, len(real)))[0][:, 1:]
    rng = np.random.default_rng(0)
    for first in range(0, rows, BLOCK):
        count = min(BLOCK, rows - first)
        one, other = rng.integers(0, len(real), (2, count))
        column, across = rng.integers(0, near.shape[1], (2, count))
        part = rng.random((count, 1), np.float32)
        drawn = real[one] + part * (real[near[one, column]] - real[one])
        drawn += np.float32(STEP) * (real[near[other, across]] - real[other])
        out[first : first + count] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def vectors_of(args: Args) -> Vectors:
    """Return the rows (N, D)."""
    if args.like is not None:
        real = np.asarray(embeddings(args.like), np.float32)
        real /= np.linalg.norm(real, axis=1, keepdims=True)
        drawn = np.empty((args.rows, real.shape[1]), args.storage)
        resampled(real, args.rows, drawn)
        return drawn
    settings: dict[str, Any] = PRESETS["dense"] if args.preset == "dense" else {"mean_size": 70.0}
    made = np.empty((args.rows, args.width), args.storage)
    for ids, block, _ in generate(SyntheticConfig(**{**settings, "rows": args.rows, "width": args.width})):
        made[ids[0] : ids[-1] + 1] = block
    return made


def coded_rate(vectors: Vectors) -> float:
    """Return the rate of products of codes, in GOP per CPU second; the best of five."""
    rows = encode(np.asarray(vectors[:CODED_ROWS], np.float32)).rows
    operations = 2e-9 * len(rows) ** 2 * rows.shape[1]
    return operations / min(timed(lambda: products(rows, rows)).cpu for _ in range(5))


def _of_shard(
    vectors: Vectors, start: int, stop: int, config: KnnConfig, index: InvertedFile, probing: Probing, threads: int
) -> tuple[Timed, Timed]:
    """Search a shard's rows and measure their recall."""
    own = np.arange(start, stop, dtype=np.int32)
    made = timed(lambda: list_top_k(vectors[start:stop], own, vectors, index, probing, config.k, threads))
    neighbor, similarity = made.result
    recall = timed(lambda: knn.measure_recall(vectors, start, neighbor, similarity, config, threads, index.codes))
    return made, recall


def search(vectors: Vectors, config: KnnConfig, args: Args, show: Callable[[str, Timed], Any]) -> Row:
    """Search all rows and return what it read and found; `show` gets every step."""
    threads = args.threads or cores()

    def centroids() -> InvertedFile:
        trained = coarse_lists.train(vectors, config, threads)
        return InvertedFile.group(trained, assign_lists(vectors, trained, threads))

    index: InvertedFile = show("lists", timed(centroids))
    index = show("codes", timed(lambda: index.coded(vectors, threads)))
    chosen = show("choosing what to read", timed(lambda: knn.choose_reading(vectors, config, index, threads)))
    probing = Probing(chosen["nearest"], chosen["margin"])
    searching, measuring, recall = np.zeros(2), np.zeros(2), Recall(config.k)
    for start in range(0, len(vectors), args.shard):
        one, other = _of_shard(vectors, start, min(start + args.shard, len(vectors)), config, index, probing, threads)
        searching += one.wall, one.cpu
        measuring += other.wall, other.cpu
        recall += other.result
    show("search", Timed(None, *searching))
    show("measuring recall", Timed(None, *measuring))
    compared = chosen.get("share", 0.0) * len(vectors) + 2 * len(index.centroids)
    operations = 2e-9 * compared * len(vectors) * vectors.shape[1]
    return {
        "lists": len(index.centroids), "share read": chosen.get("share"), "products per row": round(compared),
        "recall": recall.mean, "recall error": recall.error, "search, GOP/CPU s": operations / searching[1],
    }  # fmt: skip


def of_recall(args: Args, recall: float) -> Rows:
    """Return the rows of one target: the whole, and its steps."""
    vectors = vectors_of(args)
    config = KnnConfig(k=args.k, recall=recall, index="ivf", engine="gemm", storage=args.storage)
    few = np.ascontiguousarray(vectors[: min(4096, args.rows)])
    search(few, config, args, lambda _, step: step.result)  # compiles every kernel
    rates = {
        "gemm, GFLOP/CPU s": gemm(few.astype(np.float32, copy=False))["GFLOP/CPU s"],
        "codes, GOP/CPU s": coded_rate(vectors),
    }
    steps: dict[str, Timed] = {}

    def show(name: str, step: Timed) -> Any:
        steps[name] = Timed(None, step.wall, step.cpu)
        print(f"{name}: {step.columns}", flush=True)
        return step.result

    made = search(vectors, config, args, show)
    total = Timed(None, sum(step.wall for step in steps.values()), sum(step.cpu for step in steps.values()))
    whole = {"step": "all", **total.columns, **made, **rates, "peak GiB": peak_gib()}
    return [whole, *({"step": name, **step.columns} for name, step in steps.items())]


def tables(args: Args) -> Tables:
    """Yield a table per recall."""
    for recall in args.recalls:
        kind = args.preset if args.like is None else "resampled"
        yield f"recall {recall}, {args.rows:,} rows, {kind}, K {args.k}", call(of_recall, args, recall)


def _quick(_: str) -> Args:
    return Args(rows=3000, width=32, k=10, recalls=(0.9,), shard=2000)


BENCHMARK = Benchmark(Args, tables, _quick)
