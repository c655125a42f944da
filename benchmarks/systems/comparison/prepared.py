"""A labelled set as arrays on disk, read once and searched once.

It is read and checked as any run reads it.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.measuring.machine import cores
from benchmarks.measuring.runs import labelled_rows
from benchmarks.measuring.timing import peak_gib, timed
from raycluster.arrays import Float32, Int32, Int64
from raycluster.config.stages import Config
from raycluster.evaluation import metrics
from raycluster.evaluation.truth import UNKNOWN
from raycluster.kernels.search.self_join import self_top_k

WARM_UP_ROWS = 500
"""Rows on which kernels are compiled before the clock starts: enough for every method to find clusters."""


@dataclass(frozen=True)
class Prepared:
    """The input of a method; the arrays of N rows are memory maps."""

    vectors: Float32
    """(N, D) unit rows in the order of their ids, those without a label included."""
    neighbor: Int32
    """(N, K) the K nearest rows by cosine, exact, the row itself first."""
    similarity: Float32
    """(N, K) their cosines."""
    identities: int
    """Number of true identities, for methods that need the number of clusters."""
    memory_gib: float
    """Memory a method may take."""

    @property
    def rows(self) -> int:
        """Return the number of rows, N."""
        return len(self.vectors)

    def head(self, rows: int) -> "Prepared":
        """Return the first rows as a set, for a warm-up that compiles and imports."""
        vectors = np.ascontiguousarray(self.vectors[:rows])
        k = min(self.neighbor.shape[1], len(vectors) - 1)
        identities = max(2, self.identities * len(vectors) // self.rows)
        return Prepared(vectors, *self_top_k(vectors, k), identities, self.memory_gib)


def read(source: str, folder: Path, config: Config, label_column: str) -> None:
    """Write vectors.npy and identity.npy of a labelled Parquet to `folder`.

    They are what a run with `config` reads. Identities are numbers from 0, or UNKNOWN where the label is null. Raises
    InputError for an input that a run refuses.
    """
    vectors, identity = labelled_rows(source, str(folder / "read"), config, label_column)
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "identity.npy", identity)


def search(folder: str, k: int, engine: Literal["ours", "faiss"] = "ours") -> dict[str, float]:
    """Write the exact K nearest neighbors beside the vectors; return time and peak."""
    vectors = np.ascontiguousarray(np.load(Path(folder) / "vectors.npy", mmap_mode="r"))
    method = {"ours": _by_our_search, "faiss": _by_faiss}[engine]
    method(vectors[:WARM_UP_ROWS], 2)
    run = timed(lambda: method(vectors, k))
    for name, values in zip(("neighbor", "similarity"), run.result, strict=True):
        np.save(Path(folder) / f"{name}-{k}.npy", values)
    return {"seconds": run.wall, "peak_gib": peak_gib()}


def _by_our_search(vectors: Float32, k: int) -> tuple[Int32, Float32]:
    return self_top_k(vectors, k, cores())


def _by_faiss(vectors: Float32, k: int) -> tuple[Int32, Float32]:
    """Return the neighbors by faiss's flat index; building it counts as search."""
    import faiss

    faiss.omp_set_num_threads(cores())
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    similarity, neighbor = index.search(vectors, k)
    return neighbor.astype(np.int32), similarity


def load(folder: str, k: int, memory_gib: float) -> tuple[Prepared, Int64]:
    """Return the set, and the true identity (N,) of every row."""
    place = Path(folder)
    vectors, neighbor, similarity = (
        np.load(place / f"{name}.npy", mmap_mode="r") for name in ("vectors", f"neighbor-{k}", f"similarity-{k}")
    )
    identity = np.load(place / "identity.npy")
    identities = len(np.unique(identity[identity != UNKNOWN]))
    return Prepared(vectors, neighbor, similarity, identities, memory_gib), identity


def scored(folder: str, k: int, memory_gib: float, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the scores of a baseline, its seconds and its peak memory.

    Seconds leave out the neighbors and imports.
    """
    from benchmarks.systems.comparison.baselines import BASELINES

    data, identity = load(folder, k, memory_gib)
    method = BASELINES[name].labels
    with contextlib.suppress(Exception):
        method(data.head(WARM_UP_ROWS), **settings)
    run = timed(lambda: method(data, **settings))
    peak, has_label = peak_gib(), identity != UNKNOWN
    found = metrics.evaluate(identity[has_label], run.result[has_label])
    return {"scores": found, "seconds": run.wall, "peak_gib": peak}
