"""S2's Figures 3 and 5: density by size of the identity, and distance by its sparsity.

    python -m benchmarks hard_figures --test labelled.parquet --folder runs

Similarities are cosines. The first table has the mean density of every fifth of the identities by size, sz-1 the largest, over
the mean of all rows: of the ball, of the sum of similarities, and NDDe. The second has the mean distance of listed pairs by
sparsity, sp-1 the least sparse: of pairs of one identity and of two, by cosine and by TPDi. A distance suits one threshold
where the columns of a kind hardly change and lie apart.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measuring.runs import labelled_rows
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Row, Rows, Tables
from raycluster.arrays import Float32, Ints
from raycluster.config.load import load_config
from raycluster.evaluation.groups import size_groups, sparsity_groups
from raycluster.evaluation.truth import UNKNOWN
from raycluster.executors.progress import Silence
from raycluster.kernels.neighborhoods import diffusion, tpdi
from raycluster.pipeline import run as pipeline
from raycluster.stages.knn import neighbors_of


@dataclass
class Args(Options):
    """Labelled Parquets (id, embedding, label), and a folder for runs."""

    test: tuple[str, ...]
    folder: str
    knn_k: int = 80
    radius: float = 0.5
    """Radius of the ball, as 1 - cosine."""
    density_sigma: float | None = 0.5
    tpdi_sigma: float | None = 0.05
    """Sharpness of P, as density.sigma and edges.sigma; none has P as printed."""


def by_size(densities: dict[str, Float32], group: Ints) -> Rows:
    """Return the mean density of every fifth, over the mean of all rows, by kind.

    Rows of group -1 do not count.
    """
    rows: Rows = []
    for name, density in densities.items():
        means = {f"sz-{number + 1}": float(density[group == number].mean()) for number in np.unique(group[group >= 0])}
        rows.append({"density": name, **{column: mean / float(density.mean()) for column, mean in means.items()}})
    return rows


def by_sparsity(distances: dict[str, Float32], same: Float32, group: Ints) -> Rows:
    """Return the mean distance of pairs (N, K) of every fifth of the rows (N,), by kind.

    `same` is 1 for pairs of one identity, 0 for those of two and NaN for what does not count.
    """
    rows: Rows = []
    for name, distance in distances.items():
        for kind, value in (("one identity", 1), ("two identities", 0)):
            row: Row = {"distance": name, "pairs of": kind}
            for number in np.unique(group[group >= 0]):
                chosen = (same == value) & (group == number)[:, None]
                row[f"sp-{number + 1}"] = float(distance[chosen].mean()) if chosen.any() else float("nan")
            rows.append(row)
    return rows


def tables_of(test: str, args: Args) -> Tables:
    """Yield both tables of a set."""
    config = load_config("cosine", {"knn": {"k": args.knn_k}, "embeddings": {"duplicates": "keep"}}, "benchmark")
    vectors, identity = labelled_rows(test, f"{args.folder}/{Path(test).stem}", config, "label")
    lists = pipeline.in_memory(vectors, config, 1)
    pipeline.run_stages(lists, pipeline.LOCAL, Silence(), until="knn")
    neighbor, similarity = neighbors_of(lists)
    score = np.where(neighbor >= 0, np.maximum(similarity, 0), np.float32(np.nan))
    densities = {
        f"ball of radius {args.radius:g}": diffusion.ball(score, args.radius),
        "sum of similarities": diffusion.volume(score),
        "NDDe": diffusion.diffuse(neighbor, diffusion.transition(score, args.density_sigma), 100).density,
    }
    is_labelled = identity != UNKNOWN
    own = np.unique(identity[is_labelled], return_inverse=True)[1]
    sizes, sparsities = np.full(len(identity), -1), np.full(len(identity), -1)
    sizes[is_labelled] = size_groups(identity[is_labelled])[own]
    sparsities[is_labelled] = sparsity_groups(identity[is_labelled], vectors[is_labelled])[own]
    yield f"{Path(test).stem}: density by size", by_size(densities, sizes)
    same = np.where(identity[neighbor] == identity[:, None], np.float32(1), np.float32(0))
    same[(neighbor < 0) | ~is_labelled[:, None] | ~is_labelled[neighbor]] = np.nan
    same[:, 0] = np.nan
    roots = np.sqrt(diffusion.transition(score, args.tpdi_sigma))
    distances = {"cosine": 1 - similarity, "TPDi": 1 - tpdi.closeness(neighbor, roots, threads=1)}
    yield f"{Path(test).stem}: distance by sparsity", by_sparsity(distances, same, sparsities)


def tables(args: Args) -> Tables:
    """Yield the tables of every set."""
    for test in args.test:
        yield from tables_of(test, args)


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args((small(folder, rows=200),), f"{folder}/runs", 12))
