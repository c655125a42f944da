"""Our map-equation solver against Infomap on one graph: codelength, time from links in memory to communities, memory.

Every run is a process of its own, in turn: native on one thread, native on all `threads`, Infomap; `trials` times, with
seeds 1, 2, ... Memory is the peak less what the process held before it had the links, a link. Time leaves out compiling
and reading Infomap's communities; `cpu` is what a busy machine disturbs less than `wall`.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import psutil
import tyro

from measure import peak_bytes, report, timed

Graph = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]


@dataclass
class Args:
    """The graph, and how often."""

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
    """Part of the links that join any two nodes."""
    trials: int = 3
    threads: int = 2
    child: str | None = None
    """One run on the graph in this folder, as JSON: used by the benchmark itself."""
    engine: Literal["native", "infomap"] = "native"
    seed: int = 1


def faces(args: Args) -> Graph:
    """The links of rule `threshold` on the nearest neighbors of real vectors."""
    import pyarrow.parquet as pq

    from raycluster.kernels.edge_rules import threshold_edges
    from raycluster.kernels.search.self_join import self_top_k
    from raycluster.storage.schemas import to_matrix

    assert args.data, "--graph faces needs --data"
    vectors = to_matrix(pq.read_table(args.data, columns=["embedding"])["embedding"]).astype(np.float32)
    neighbor, similarity = self_top_k(vectors, args.k, args.threads)
    found = threshold_edges(0, len(vectors), neighbor, similarity, args.threshold)
    return found["source"], found["target"], found["weight"]


def planted(args: Args) -> Graph:
    """Links within planted groups and, `noise` of them, anywhere; node numbers are shuffled."""
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
    keep = slice(int(pair[0] < 0), None)
    one, other = np.divmod(pair[keep], args.nodes)
    return one.astype(np.int32), other.astype(np.int32), weight[first[keep]].astype(np.float32)


def _draw(rng: np.random.Generator, share: Any, low: Any, high: Any) -> npt.NDArray[np.int64]:
    """Nodes by their share of the degrees between `low` and `high`."""
    found: npt.NDArray[np.int64] = np.searchsorted(share, low + rng.random(len(low)) * (high - low), side="right") - 1
    return found.clip(max=len(share) - 2)


def child(args: Args) -> dict[str, Any]:
    """One run, in this process."""
    from raycluster.kernels import map_equation
    from raycluster.stages.communities import infomap_result, written_partition

    folder = Path(str(args.child))
    nodes = int(np.load(folder / "nodes.npy"))
    tiny = np.arange(20, dtype=np.int32)
    _solve(args, (tiny, (tiny + 1) % 20, np.ones(20, np.float32)), 20, map_equation, infomap_result)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = psutil.Process().memory_info().rss
    graph = tuple(np.load(folder / f"{name}.npy") for name in ("source", "target", "weight"))
    found, wall, cpu = timed(lambda: _solve(args, graph, nodes, map_equation, infomap_result))
    peak = peak_bytes() - before
    if args.engine == "native":
        communities = found.communities
    else:
        node, module, _ = written_partition(found)
        communities = -1 - np.arange(nodes)
        communities[node] = module
    np.save(folder / f"{args.engine}-{args.seed}.npy", communities)
    return {
        "engine": args.engine, "threads": args.threads, "seed": args.seed, "wall": round(wall, 3), "cpu": round(cpu, 3),
        "codelength": found.codelength, "bytes_per_link": round(peak / len(graph[0]), 1),
        "communities": len(np.unique(communities)),
    }  # fmt: skip


def _solve(args: Args, graph: Any, nodes: int, map_equation: Any, infomap_result: Any) -> Any:
    if args.engine == "native":
        return map_equation.solve(*graph, nodes, seed=args.seed, threads=args.threads)
    return infomap_result(*graph, args.seed, False)


def main(args: Args) -> None:
    """Build the graph, run each side in turn, compare."""
    if args.child:
        print(json.dumps(child(args)))
        return
    from raycluster.evaluation.metrics import evaluate

    graph = faces(args) if args.graph == "faces" else planted(args)
    nodes = args.nodes if args.graph != "faces" else int(max(graph[0].max(), graph[1].max())) + 1
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for name, values in zip(("source", "target", "weight", "nodes"), (*graph, np.array(nodes)), strict=True):
            np.save(Path(folder) / f"{name}.npy", values)
        links = len(graph[0])
        del graph
        for seed in range(1, args.trials + 1):
            for engine, threads in (("native", 1), ("native", args.threads), ("infomap", 1)):
                words = ["--child", folder, "--engine", engine, "--seed", seed, "--threads", threads]
                environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
                command = [sys.executable, __file__, *map(str, words)]
                line = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
                runs.append(json.loads(line.splitlines()[-1]))
                print(runs[-1], file=sys.stderr, flush=True)
        best = {
            engine: min((run for run in runs if run["engine"] == engine), key=lambda run: run["codelength"])
            for engine in ("native", "infomap")
        }
        labels = [np.load(Path(folder) / f"{engine}-{run['seed']}.npy") for engine, run in best.items()]
        others = [np.load(Path(folder) / f"infomap-{seed}.npy") for seed in range(1, min(args.trials, 2) + 1)]
    peer = [run for run in runs if run["engine"] == "infomap"]

    def ratio(what: str, threads: int) -> float:
        ours = [run[what] for run in runs if run["engine"] == "native" and run["threads"] == threads]
        return round(float(np.median([run[what] for run in peer]) / np.median(ours)), 2)

    worst = max(run["codelength"] for run in runs if run["engine"] == "native")
    report({
        "benchmark": "map equation", **asdict(args), "nodes": nodes, "links": links, "runs": runs,
        "codelength_above_infomap_best_percent": {
            "best": round(100 * (best["native"]["codelength"] / best["infomap"]["codelength"] - 1), 4),
            "worst": round(100 * (worst / best["infomap"]["codelength"] - 1), 4),
        },
        "times_faster": {
            "one thread, cpu": ratio("cpu", 1), "one thread, wall": ratio("wall", 1),
            f"{args.threads} threads, wall": ratio("wall", args.threads),
        },
        "bytes_per_link": {run["engine"] + f"-{run['threads']}": run["bytes_per_link"] for run in runs},
        "nmi": evaluate(*labels)["nmi"]["arithmetic"],
        "nmi_of_infomap_seeds": evaluate(others[0], others[-1])["nmi"]["arithmetic"],
    })  # fmt: skip


if __name__ == "__main__":
    main(tyro.cli(Args))
