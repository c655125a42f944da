"""What edge recall can reach by equation 8 where Top-K is wrong, with the truth in place of the predictor.

    python -m benchmarks ceilings --test labelled.parquet --folder work

Top-K is a share of the true one, by Ada-NETS's Q: all of it, or less as a filter that predicts too low. NEP is by eq. 6 and 8.
A perfect predictor scores every pair that has a NEP and that the walk leaves. `as printed` truncates the two neighborhoods of a
pair and no pair. `without pairs past Top-K` gives those pairs no NEP, a reading of eq. 8 that was built here before. The perfect
edges are all true pairs among the lists. Scores are percent, with the mean over Infomap seeds.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Rows, Tables
from benchmarks.papers._laboratory import Ready
from raycluster.arrays import Bool, Float32, Int64
from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.kernels.neighborhoods import nep
from raycluster.models.networks.adaptive_filter import targets
from raycluster.pipeline import run as pipeline
from raycluster.stages.nep import transform

BETA = 0.5
"""Weight of recall in the true Top-K, as published."""


@dataclass
class Args(Options):
    """Labelled Parquets (id, embedding, label), all of whose rows have a label, and a folder for runs."""

    test: tuple[str, ...]
    folder: str
    knn_k: int = 80
    theta: float = 0.22
    shares: tuple[float, ...] = (1.0, 0.5, 0.125)
    """Shares of the true Top-K. An eighth is about what a filter with a sigmoid predicted: 4.8 where the truth is 36.4."""
    infomap_seeds: tuple[int, ...] = (1, 2, 3)


def true_topk(at: Ready, share: float = 1.0) -> Int64:
    """Return a share of the Top-K (N,) that the filter should predict, rounded, at least 1."""
    same = at.same.copy()
    same[:, 0] = True
    topk = targets(same, np.bincount(at.identity)[at.identity], BETA)
    return np.maximum(1, np.rint(share * topk)).astype(np.int64)


def readings(at: Ready, topk: Int64) -> dict[str, Float32]:
    """Return NEP (N, K) by both readings of eq. 8 on Top-K (N,)."""
    own = transform(at.tables.config.edges)(at.similarity)
    printed = nep.neighbor_edge_probability(at.neighbor, own, length=topk, length_step=nep.TOPK_STEP)
    return {"as printed": printed, "without pairs past Top-K": np.where(within(at, topk), printed, np.float32(0))}


def within(at: Ready, topk: Int64) -> Bool:
    """Return which ranks (N, K) lie before a row's own truncation, Top-K rounded up as in eq. 7."""
    k = at.neighbor.shape[1]
    return np.asarray(np.arange(k) < np.minimum(k, -(-topk // nep.TOPK_STEP) * nep.TOPK_STEP)[:, None])


def tables_of(test: str, args: Args) -> Tables:
    """Yield the table of a set."""
    url = f"{args.folder}/{Path(test).stem}-{args.knn_k}"
    values = {"knn": {"k": args.knn_k}, "embeddings": {"duplicates": "keep"}}
    pipeline.cluster(test, url, load_config("fc-es-sigmoid", values, "benchmark"), Execution("local"))
    at = Ready.open(url)
    rows: Rows = []
    for share in args.shares:
        for reading, own in readings(at, true_topk(at, share)).items():
            walk = replace(at, nep=own)
            for predictor, score in (("none", None), ("perfect", walk.perfect())):
                scores = walk.clustered(args.theta, score, 0.5, args.infomap_seeds)
                rows.append({"Top-K": f"{share:g} of the true", "eq. 8": reading, "predictor": predictor, **scores})
    every = replace(at, nep=np.zeros_like(at.nep))  # no walk: all edges are scored ones
    edges = every.clustered(1.0, np.where(at.same, np.float32(1), np.float32(np.nan)), 0.5, args.infomap_seeds)
    rows.append({"Top-K": "", "eq. 8": "", "predictor": "perfect edges", **edges})
    yield f"ceilings of edge recall: {Path(test).stem}, K {args.knn_k}, theta {args.theta:g}", rows


def tables(args: Args) -> Tables:
    """Yield every set's table."""
    for test in args.test:
        yield from tables_of(test, args)


BENCHMARK = Benchmark(Args, tables, lambda folder: Args((small(folder, rows=400),), f"{folder}/work", 12))
