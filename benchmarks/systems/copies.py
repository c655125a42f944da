"""Exact copies: rows whose cluster is another one than with `--embeddings.duplicates keep`, and why.

    python -m benchmarks copies --inputs lfw.parquet pricerunner.parquet demo

A cluster that holds other rows under `keep` is explained where copies of one vector were apart there, or where the limit is
another one: copies that are collapsed leave the lists that it is picked on. So `keep` runs once more at the default's limit.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Row, Rows, Tables
from raycluster.arrays import Bool, Float32, Int32, Int64
from raycluster.config.load import load_config
from raycluster.executors.progress import Silence
from raycluster.kernels.duplicates import originals
from raycluster.kernels.unit_rows import normalize
from raycluster.models.requirements import with_model
from raycluster.pipeline.run import LOCAL, in_memory, run_stages
from raycluster.stages.edges import limits_of
from raycluster.stages.labels import labels_of
from raycluster.storage.schemas import to_matrix


@dataclass
class Args(Options):
    """Parquet files with embeddings."""

    inputs: list[str]
    recipe: str = "cosine"
    repeated: list[float] = field(default_factory=lambda: [0.0, 0.5])
    """Copies to add, as shares of the rows: of rows drawn at random, several times where they are drawn again."""
    threads: int = 2


def clustered(vectors: Float32, args: Args, duplicates: str, limit: float | None = None) -> tuple[Int64, float]:
    """Return the cluster (N,) of each row, and the limit of edges, picked where `limit` is none."""
    edges = {} if limit is None else {"threshold": limit}
    config = with_model(load_config(args.recipe, {"embeddings": {"duplicates": duplicates}, "edges": edges}))
    tables = in_memory(vectors, config, args.threads)
    run_stages(tables, LOCAL, Silence())
    return labels_of(tables).cluster_id.astype(np.int64), float(limits_of(tables).swept_value)


def same_cluster(one: Int64, other: Int64) -> Bool:
    """Return whether each row (N,) shares its cluster with the same rows in both."""
    _, pair, rows = np.unique(np.stack([one, other], 1), axis=0, return_inverse=True, return_counts=True)
    result: Bool = (rows[pair] == np.bincount(one)[one]) & (rows[pair] == np.bincount(other)[other])
    return result


def apart(original: Int32, cluster: Int64) -> Int64:
    """Return the first rows of vectors whose copies are in several clusters."""
    return np.unique(original[cluster != cluster[original]])


def line_of(name: str, vectors: Float32, repeated: float, args: Args) -> Row:
    """Return one line: a set with copies added."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(vectors), int(repeated * len(vectors)))
    vectors = np.concatenate([vectors, vectors[drawn]])
    original = originals(vectors)
    (default, limit), (kept, limit_kept) = (clustered(vectors, args, which) for which in ("collapse", "keep"))
    at_limit = kept if limit_kept == limit else clustered(vectors, args, "keep", limit)[0]
    differs = ~same_cluster(default, at_limit)
    # All rows of a cluster of either run that holds copies that were apart.
    of_copies = np.isin(original, apart(original, at_limit))
    touched = np.isin(at_limit, at_limit[of_copies]) | np.isin(default, default[of_copies])
    return {
        "set": name,
        "rows": len(vectors),
        "copies": int((original != np.arange(len(original))).sum()),
        "vectors apart, keep": len(apart(original, kept)),
        "vectors apart": len(apart(original, default)),
        "limit, keep": limit_kept,
        "limit": limit,
        "rows that differ": int((~same_cluster(default, kept)).sum()),
        "at one limit": int(differs.sum()),
        "of them beside copies that were apart": int((differs & touched).sum()),
    }


def tables(args: Args) -> Tables:
    """Yield one table."""
    lines: Rows = []
    for path in args.inputs:
        vectors = normalize(to_matrix(pq.read_table(path, columns=["embedding"])["embedding"]))[0]
        for repeated in args.repeated:
            lines.append(line_of(Path(path).stem, vectors, repeated, args))
            yield "copies", lines


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args([small(folder)], repeated=[0.5], threads=1))
