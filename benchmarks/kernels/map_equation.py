"""Our map-equation solver against Infomap: codelength, time and memory.

    python -m benchmarks map_equation

Every run has a process of its own, in turn: native on one thread, native on all `threads`, Infomap; `trials` times, with
seeds 1, 2, ... Time is from links in memory to communities, without compiling and without reading Infomap's result.
Memory per link is the peak less what the process held before it had the links. CPU seconds suffer less from other work
on the machine than wall time.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import psutil

from benchmarks.measuring.isolation import call
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import embeddings
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.measuring.timing import peak_bytes, timed
from raycluster.evaluation.metrics import evaluate
from raycluster.kernels import map_equation
from raycluster.kernels.edge_rules import threshold_edges
from raycluster.kernels.search.self_join import self_top_k
from raycluster.stages.engines import infomap_result, written_partition

Engine = Literal["native", "infomap"]
Graph = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]
"""Source, target and weight of every link."""


@dataclass
class Args(Options):
    """The graph, and how often it is solved."""

    graph: Literal["faces", "identities", "power-law"] = "identities"
    """kNN graph of real rows; planted identities of 30 to 70 nodes; power-law degrees and community sizes."""
    data: str | None = None
    """Parquet with a column `embedding`, for `faces`."""
    k: int = 80
    threshold: float = 0.4
    """Least cosine of a link of `faces`. Lowering it adds links between strangers."""
    nodes: int = 100_000
    links: int = 3_000_000
    """Links to draw, before duplicates are dropped."""
    noise: float = 0.1
    """Share of the links that join any two nodes."""
    trials: int = 3
    threads: int = 2


def faces(args: Args) -> Graph:
    """Return the links of rule `threshold` between neighbors of real vectors."""
    assert args.data, "--graph faces needs --data"
    vectors = embeddings(args.data).astype(np.float32)
    neighbor, similarity = self_top_k(vectors, args.k, args.threads)
    edges = threshold_edges(0, len(vectors), neighbor, similarity, args.threshold)
    return edges["source"], edges["target"], edges["weight"]


def planted(args: Args) -> Graph:
    """Return links within planted groups and, a share `noise`, anywhere.

    Node numbers are shuffled.
    """
    rng = np.random.default_rng(0)
    if args.graph == "identities":
        sizes, degree = rng.integers(30, 71, args.nodes // 30), np.ones(args.nodes)
    else:
        degree = np.minimum((1 - rng.random(args.nodes)) ** (-1 / 1.5), np.sqrt(args.nodes))
        sizes = np.minimum(20 * (1 - rng.random(args.nodes // 20)) ** (-1 / 0.8), args.nodes / 50).astype(np.int64)
    ends = np.minimum(np.cumsum(sizes), args.nodes)
    ends = ends[: np.searchsorted(ends, args.nodes) + 1]
    begins = np.concatenate([[0], ends[:-1]])
    share = np.concatenate([[0], np.cumsum(degree)])
    source = _draw(rng, share, np.zeros(args.links), np.full(args.links, share[-1]))
    group = np.searchsorted(ends, source, side="right")
    anywhere = rng.random(args.links) < args.noise
    low = np.where(anywhere, 0, share[begins[group]])
    target = _draw(rng, share, low, np.where(anywhere, share[-1], share[ends[group]]))
    weight = np.where(anywhere, 0.4 + 0.15 * rng.random(args.links), 0.5 + 0.3 * rng.random(args.links))
    number = rng.permutation(args.nodes)
    one, other = number[source], number[target]
    pair = np.minimum(one, other) * args.nodes + np.maximum(one, other)
    pair, first = np.unique(np.where(one == other, -1, pair), return_index=True)
    kept = slice(int(pair[0] < 0), None)
    one, other = np.divmod(pair[kept], args.nodes)
    return one.astype(np.int32), other.astype(np.int32), weight[first[kept]].astype(np.float32)


def _draw(rng: np.random.Generator, share: Any, low: Any, high: Any) -> npt.NDArray[np.int64]:
    """Draw nodes by their share of the degrees between `low` and `high`."""
    drawn: npt.NDArray[np.int64] = np.searchsorted(share, low + rng.random(len(low)) * (high - low), side="right") - 1
    return drawn.clip(max=len(share) - 2)


def solve(engine: Engine, graph: Graph, nodes: int, seed: int, threads: int) -> Any:
    """Return the solver's own result."""
    if engine == "native":
        return map_equation.solve(*graph, nodes, seed=seed, threads=threads)
    return infomap_result(*graph, seed, False)


def solved(folder: Path, nodes: int, engine: Engine, seed: int, threads: int) -> Row:
    """Return the row of one run on the graph in `folder`.

    The communities are saved there.
    """
    ring = np.arange(20, dtype=np.int32)
    solve(engine, (ring, (ring + 1) % 20, np.ones(20, np.float32)), 20, seed, threads)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = psutil.Process().memory_info().rss
    source, target, weight = (np.load(folder / f"{name}.npy") for name in ("source", "target", "weight"))
    run = timed(lambda: solve(engine, (source, target, weight), nodes, seed, threads))
    peak = peak_bytes() - before
    if engine == "native":
        communities = run.result.communities
    else:
        node, module, _ = written_partition(run.result)
        communities = -1 - np.arange(nodes)
        communities[node] = module
    np.save(folder / f"{engine}-{seed}.npy", communities)
    return {
        "engine": engine, "threads": threads, "seed": seed, **run.columns, "codelength": run.result.codelength,
        "bytes/link": round(peak / len(source), 1), "communities": len(np.unique(communities)),
    }  # fmt: skip


def tables(args: Args) -> Tables:
    """Yield the runs as they end, then both engines compared."""
    graph = faces(args) if args.graph == "faces" else planted(args)
    nodes = args.nodes if args.graph != "faces" else int(max(graph[0].max(), graph[1].max())) + 1
    title = f"{args.graph}: {nodes:,} nodes, {len(graph[0]):,} links"
    runs: Rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for column, values in zip(("source", "target", "weight"), graph, strict=True):
            np.save(folder / f"{column}.npy", values)
        del graph
        sides: list[tuple[Engine, int]] = [("native", 1), ("native", args.threads), ("infomap", 1)]
        for seed in range(1, args.trials + 1):
            for engine, threads in sides:
                environment = {"NUMBA_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
                runs.append(call(solved, folder, nodes, engine, seed, threads, environment=environment))
        yield title, runs
        yield f"{title}, compared", [compared(runs, args.threads) | agreement(runs, folder)]


def compared(runs: Rows, threads: int) -> Row:
    """Return codelengths and times of ours relative to Infomap.

    Times are medians.
    """
    native, peer = ([run for run in runs if run["engine"] == engine] for engine in ("native", "infomap"))
    lengths, shortest = [run["codelength"] for run in native], min(run["codelength"] for run in peer)

    def ratio(time: str, count: int) -> float:
        ours = np.median([run[time] for run in native if run["threads"] == count])
        return round(float(np.median([run[time] for run in peer]) / ours), 2)

    return {
        "codelength above Infomap's best, percent": round(100 * (min(lengths) / shortest - 1), 4),
        "worst": round(100 * (max(lengths) / shortest - 1), 4),
        "times faster, one thread, CPU": ratio("CPU s", 1),
        "one thread, wall": ratio("wall s", 1),
        f"{threads} threads, wall": ratio("wall s", threads),
    }


def agreement(runs: Rows, folder: Path) -> Row:
    """Return the NMI (arithmetic) of both engines' best partitions.

    The NMI of two seeds of Infomap stands beside it.
    """
    best = [min((run for run in runs if run["engine"] == engine), key=lambda run: run["codelength"])
            for engine in ("native", "infomap")]  # fmt: skip
    names = [f"{run['engine']}-{run['seed']}" for run in best]
    seeds = [f"infomap-{seed}" for seed in (1, min(2, max(run["seed"] for run in runs)))]
    pairs = {"NMI": names, "NMI of two seeds of Infomap": seeds}
    return {
        title: evaluate(*(np.load(folder / f"{name}.npy") for name in pair))["nmi"]["arithmetic"]
        for title, pair in pairs.items()
    }


BENCHMARK = Benchmark(Args, tables, quick=lambda _: replace(Args(), nodes=900, links=9000, trials=1))
