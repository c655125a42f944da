"""CPU time and peak memory of one shard while the set grows.

Measured are every edge rule, NEP, TPDi and density peaks.

    python -m benchmarks per_shard

The shard keeps its size, so both should stay as they are. The table has planted identities in a random order of rows, as
blocks of `window` rows that do not list each other: so a shard reaches the same number of rows in a set of any size.
With `--window 0` neighbors lie anywhere. Then a shard of 1,000 rows and 80 neighbors reaches 24,000 different rows of a set
of 25,000, 55,000 of 100,000 and never more than 80,000, and what misses the caches grows as long. Each number is the median of
several shards, on one thread.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import planted_neighbors
from benchmarks.measuring.tables import Tables
from benchmarks.measuring.timing import peak_bytes, timed
from raycluster.arrays import Float32, Int32, Int64
from raycluster.kernels import edge_rules
from raycluster.kernels.neighborhoods.diffusion import transition
from raycluster.kernels.neighborhoods.nep import (
    TOPK_STEP,
    exponential_probability,
    neighbor_edge_probability,
    normalized,
)
from raycluster.kernels.neighborhoods.tpdi import closeness

Work = Callable[[int, int], Any]
"""What is measured: a function of the first row of a shard and the row after its last."""
EVICTED_BYTES = 2**27
"""Written before every measurement, so that a small table is no more in the caches than a large one."""


@dataclass
class Args(Options):
    """Sizes of the sets and of the shard."""

    rows: tuple[int, ...] = (25_000, 50_000, 100_000, 200_000, 400_000)
    shard: int = 1_000
    k: int = 80
    window: int = 25_000
    """Rows among which a row's neighbors lie; 0: anywhere."""
    shards: int = 9
    """Shards measured per size, spread over the set."""


@dataclass(frozen=True)
class Lists:
    """What the kernels read of all rows."""

    neighbor: Int32
    """(N, K)."""
    similarity: Float32
    """(N, K), falling along each row."""
    p_hat: Float32
    """(N, K)."""
    root: Float32
    """(N, K)."""
    density: Float32
    """(N,)."""
    topk: Int64
    """(N,)."""


def lists(rows: int, k: int, window: int = 0) -> Lists:
    """Return a generated set, as the kernels read it."""
    rng = np.random.default_rng(1)
    neighbor, similarity = planted_neighbors(rows, k, window=window)
    p_hat, root = normalized(exponential_probability(similarity)), np.sqrt(transition(similarity))
    return Lists(neighbor, similarity, p_hat, root, rng.random(rows, np.float32), rng.integers(1, k + 1, rows))


def works(table: Lists) -> dict[str, Work]:
    """Return the kernels as functions of a shard."""
    neighbor, similarity = table.neighbor, table.similarity

    def early_stop(start: int, stop: int) -> Any:
        rows = slice(start, stop)
        nep = table.p_hat[rows]  # any values in 0..1: the walk has its own line, NEP another
        return edge_rules.early_stop_edges(start, neighbor[rows], similarity[rows], nep, 0.01, similarity[rows], 0.5)

    def density_peaks(start: int, stop: int) -> Any:
        rows = slice(start, stop)
        uphill = edge_rules.denser(start, neighbor[rows], table.density)
        return edge_rules.density_peak_edges(start, neighbor[rows], similarity[rows], uphill, similarity[rows], 0.3)

    def truncated(start: int, stop: int) -> Any:
        return neighbor_edge_probability(neighbor, table.p_hat, start, stop, table.topk, 1, length_step=TOPK_STEP)

    return {
        "rule threshold": lambda start, stop: edge_rules.threshold_edges(start, stop, neighbor, similarity, 0.5),
        "rule score": lambda start, stop: edge_rules.score_edges(
            start, stop, neighbor, similarity[start:stop], similarity, 0.5, "mean"
        ),
        "rule gap": lambda start, stop: edge_rules.gap_edges(start, stop, neighbor, similarity),
        "rule early-stop": early_stop,
        "rule density-peaks": density_peaks,
        "NEP": lambda start, stop: neighbor_edge_probability(neighbor, table.p_hat, start, stop, threads=1),
        "NEP truncated to Top-K": truncated,
        "TPDi": lambda start, stop: closeness(neighbor, table.root, start, stop, threads=1),
    }


def measured(work: Work, rows: int, shard: int, shards: int) -> tuple[float, float]:
    """Return the CPU milliseconds and the MiB that one shard takes.

    The time is the median of the shards, the memory the most that one of them added to the process.
    """
    starts = np.linspace(0, rows - shard, shards + 1).astype(int).tolist()
    work(starts[0], starts[0] + shard)
    milliseconds, most = [], 0
    evicting = np.ones(EVICTED_BYTES // 8)
    for start in starts[1:]:
        evicting += 1
        ctypes.CDLL(None).malloc_trim(0)  # memory of the call before would be used again without a trace
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
        before = peak_bytes()
        milliseconds.append(1000 * timed(partial(work, start, start + shard)).cpu)
        most = max(most, peak_bytes() - before)
    return float(np.median(milliseconds)), most / 2**20


def reach(neighbor: Int32, shard: int) -> int:
    """Return how many different rows a shard in the middle of the set reads."""
    middle = len(neighbor) // 2
    return len(np.unique(neighbor[middle : middle + shard]))


def slope(rows: tuple[int, ...], values: list[float]) -> float | None:
    """Return d log(value) / d log(rows) by least squares.

    It is 0 for values that stay the same, and 1 for values that grow with the set.
    """
    if len(rows) < 2:
        return None
    return round(float(np.polyfit(np.log(rows), np.log(np.maximum(values, 1e-3)), 1)[0]), 3)


def tables(args: Args) -> Tables:
    """Yield how far a shard reaches, then time and memory of every kernel."""
    numba.set_num_threads(1)
    milliseconds: dict[str, list[float]] = {}
    mebibytes: dict[str, list[float]] = {}
    reached = []
    for rows in args.rows:
        table = lists(rows, args.k, args.window)
        reached.append({"rows": rows, "rows that a shard reads": reach(table.neighbor, args.shard)})
        for name, work in works(table).items():
            cpu, memory = measured(work, rows, args.shard, args.shards)
            milliseconds.setdefault(name, []).append(cpu)
            mebibytes.setdefault(name, []).append(memory)
    yield f"sets, window {args.window:,}", reached
    yield (
        f"CPU ms and peak MiB per shard of {args.shard:,} rows, K {args.k}",
        [
            {"kernel": name, **{f"ms at {rows:,}": cpu[at] for at, rows in enumerate(args.rows)},
             "slope": slope(args.rows, cpu), "MiB": mebibytes[name]}
            for name, cpu in milliseconds.items()
        ],
    )  # fmt: skip


BENCHMARK = Benchmark(Args, tables, quick=lambda _: Args(rows=(600, 1200), shard=100, k=12, shards=2, window=600))
