"""kNN at a target recall, by our inverted lists, against our exact search, faiss IVF at the same recall, and the gemm rate.

Every size runs in a child process, so that its peak memory is its own; it is also printed to stderr when it is done. A
side's CPU seconds are given besides its wall time: on a machine with other work they are the fairer measure. Above
`exact_rows` the exact time is that of the largest size measured, scaled by the pairs; faiss searches `faiss_rows` queries,
scaled to all.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import faiss
import numpy as np
import numpy.typing as npt
import tyro

from measure import peak_gib, report, timed
from raycluster.config.stages import KnnConfig
from raycluster.kernels.search.recall import measure as measure_recall
from raycluster.kernels.search.recall import sample_rows
from raycluster.stages import coarse_lists as lists
from raycluster.stages import knn
from raycluster.synthetic.generator import PRESETS, SyntheticConfig, generate

Vectors = npt.NDArray[np.float32]


@dataclass
class Args:
    """What to search: all rows among themselves."""

    rows: tuple[int, ...] = (100_000, 200_000)
    """Sizes, ascending."""
    preset: Literal["dense", "long-tail", "large"] = "dense"
    """`dense` is like MS1M: about 70 rows an identity, look-alikes everywhere."""
    width: int = 256
    k: int = 80
    recall: float = 0.98
    exact_rows: int = 100_000
    """Largest size that is searched exactly in full."""
    faiss_rows: int = 8192
    """Queries of faiss; 0 leaves it out."""
    child: bool = False
    """Measure the one size given in this process."""


def rounded(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """The result of one call and its times."""
    result, wall, cpu = timed(work)
    return result, {"seconds": round(wall, 2), "cpu": round(cpu, 2)}


def total(parts: list[dict[str, float]]) -> dict[str, float]:
    """Times added up."""
    return {name: round(sum(part[name] for part in parts), 2) for name in ("seconds", "cpu")}


def gemm_gflops(vectors: Vectors) -> dict[str, float]:
    """float32 rate of plain matrix products, in GFLOP a second and a CPU second; the best of several."""
    part, tile = vectors[:8192], np.empty((8192, 1024), np.float32)
    best = {"seconds": 0.0, "cpu": 0.0}
    for _ in range(5):
        _, spent = rounded(
            lambda: [np.matmul(part, vectors[at : at + 1024].T, out=tile) for at in range(0, 8 * 1024, 1024)]
        )
        for name in best:
            best[name] = max(best[name], 2 * 8192 * 8192 * vectors.shape[1] / max(spent[name], 1e-9) / 1e9)
    return {name: round(rate, 1) for name, rate in best.items()}


def warm_up(vectors: Vectors, config: KnnConfig) -> None:
    """Compile every kernel on a few rows."""
    few = np.ascontiguousarray(vectors[:4096])
    index = lists.build(few, config)
    chosen = {**knn.choose(few, config, index), "exact": False}
    found = knn.search(few, 0, len(few), config, 2, index, knn.probing_of(chosen))
    knn.search(few, 0, len(few), config, 2)
    knn.check(few, 0, *found, config)


def by_lists(vectors: Vectors, config: KnnConfig, threads: int) -> dict[str, Any]:
    """The whole approximate search, from training the lists to measuring recall."""
    index, building = rounded(lambda: lists.build(vectors, config, threads))
    chosen, choosing = rounded(lambda: knn.choose(vectors, config, index, threads))
    (neighbor, similarity), searching = rounded(
        lambda: knn.search(vectors, 0, len(vectors), config, threads, index, knn.probing_of(chosen))
    )
    recall, checking = rounded(lambda: knn.check(vectors, 0, neighbor, similarity, config, threads))
    steps = {"lists": building, "choosing": choosing, "search": searching, "checking": checking}
    return {
        **total(list(steps.values())), "steps": steps, "number_of_lists": len(index.centroids), "chosen": chosen,
        "recall": round(recall.mean, 5), "recall_error": round(recall.error, 5), "peak_gib": peak_gib(),
    }  # fmt: skip


def by_faiss(vectors: Vectors, args: Args, number_of_lists: int, threads: int) -> dict[str, Any]:
    """faiss IVF with as many lists and the fewest probes (doubling) that reach the recall."""
    faiss.omp_set_num_threads(threads)
    quantizer = faiss.IndexFlatIP(args.width)
    index = faiss.IndexIVFFlat(quantizer, args.width, number_of_lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.max_points_per_centroid = 5, lists.SAMPLE_PER_LIST

    def build() -> None:
        index.train(vectors)
        index.add(vectors)

    _, building = rounded(build)
    rows = sample_rows(len(vectors), 512, (1,))
    index.nprobe = 8
    while True:
        similarity, neighbor = index.search(vectors[rows], args.k)
        recall = measure_recall(rows, neighbor.astype(np.int32), similarity + np.float32(1e-6), vectors, threads)
        if recall.mean >= args.recall or index.nprobe >= number_of_lists:
            break
        index.nprobe = min(2 * index.nprobe, number_of_lists)
    asked = vectors[: args.faiss_rows]
    _, searching = rounded(lambda: index.search(asked, args.k))
    scale = len(vectors) / len(asked)
    whole = {name: round(value * scale, 2) for name, value in searching.items()}
    return {
        **total([building, whole]), "steps": {"lists": building, "search": whole}, "probes": index.nprobe,
        "recall": round(recall.mean, 5), "queries_measured": len(asked),
    }  # fmt: skip


def measure(args: Args) -> dict[str, Any]:
    """One size."""
    (rows,) = args.rows
    threads = len(os.sched_getaffinity(0))
    described = SyntheticConfig(**{**PRESETS[args.preset], "rows": rows, "width": args.width})
    vectors = np.concatenate([block for _, block, _ in generate(described)])
    config = KnnConfig(k=args.k, recall=args.recall, index="ivf", engine="gemm")
    warm_up(vectors, config)
    result: dict[str, Any] = {"rows": rows, "vectors_gib": round(vectors.nbytes / 2**30, 3)}
    result["gemm_gflops"] = gemm_gflops(vectors)
    result["ivf"] = by_lists(vectors, config, threads)
    if rows <= args.exact_rows:
        _, result["exact"] = rounded(lambda: knn.search(vectors, 0, rows, config, threads))
        result["exact"]["peak_gib"] = peak_gib()
        operations = 2 * rows * rows * args.width / 1e9
        after = gemm_gflops(vectors)
        for name, rate in result["gemm_gflops"].items():
            mean = (rate + after[name]) / 2
            result["exact"][f"share_of_gemm_{name}"] = round(operations / result["exact"][name] / mean, 3)
    if args.faiss_rows:
        result["faiss_ivf"] = by_faiss(vectors, args, result["ivf"]["number_of_lists"], threads)
    return result


def main(args: Args) -> None:
    """Run every size in a child and compare."""
    if args.child:
        print(json.dumps(measure(args)))
        return
    results: list[dict[str, Any]] = []
    for rows in args.rows:
        options = [f"--{name.replace('_', '-')}={getattr(args, name)}" for name in
                   ("preset", "width", "k", "recall", "exact_rows", "faiss_rows")]  # fmt: skip
        command = [sys.executable, sys.argv[0], "--child", *options, "--rows", str(rows)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        if "exact" in found:
            reference = found
        found.setdefault("exact", {
            name: round(reference["exact"][name] * (rows / reference["rows"]) ** 2, 1) for name in ("seconds", "cpu")
        } | {"scaled_from": reference["rows"]})  # fmt: skip
        for name in ("seconds", "cpu"):
            found[f"ivf_to_exact_{name}"] = round(found["ivf"][name] / found["exact"][name], 3)
        results.append(found)
        print(json.dumps(found), file=sys.stderr, flush=True)
    first, last = results[0], results[-1]
    exponents = {
        name: round(math.log(last["ivf"][name] / first["ivf"][name]) / math.log(last["rows"] / first["rows"]), 3)
        for name in ("seconds", "cpu")
        if last is not first
    }
    report({
        "benchmark": "kNN at a target recall", "preset": args.preset, "width": args.width, "k": args.k,
        "target": args.recall, "sizes": results, "exponent_of_ivf_time": exponents,
    })  # fmt: skip


if __name__ == "__main__":
    main(tyro.cli(Args))
