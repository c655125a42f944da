"""A labelled set as arrays on disk: read and checked once as any run reads it, its neighbors searched once."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from measure import peak_gib, seconds
from raycluster.arrays import Float32, Int32, Int64
from raycluster.evaluation import metrics
from raycluster.evaluation.truth import UNKNOWN
from raycluster.kernels.search.self_join import self_top_k

WARM_UP_ROWS = 500


@dataclass(frozen=True)
class Prepared:
    """What a method is given; the arrays of N rows are memory maps."""

    vectors: Float32
    """(N, D) unit rows in the order of their ids, those without a label included."""
    neighbor: Int32
    """(N, K) the K nearest rows by cosine, exact, the row itself first."""
    similarity: Float32
    """(N, K) their cosines."""
    identities: int
    """True identities: what a method that must be told the number of clusters is told."""
    memory_gib: float
    """Memory a method may take."""

    @property
    def rows(self) -> int:
        """N."""
        return len(self.vectors)

    def head(self, rows: int) -> "Prepared":
        """The first `rows` rows alone, for a warm-up: what is compiled or imported at first use is no part of a timing."""
        vectors = np.ascontiguousarray(self.vectors[:rows])
        k = min(self.neighbor.shape[1], len(vectors) - 1)
        identities = max(2, self.identities * len(vectors) // self.rows)
        return Prepared(vectors, *self_top_k(vectors, k), identities, self.memory_gib)


def read(source: str, folder: Path, id_column: str, embedding_column: str, label_column: str) -> None:
    """Write vectors.npy and identity.npy of a labelled Parquet to `folder`, as a run of this package reads it.

    Identities are numbers from 0, or UNKNOWN where the label is null. Raises InputError for what a run refuses.
    """
    from raycluster.config.stages import Config
    from raycluster.evaluation.truth import labelled_rows
    from raycluster.executors.progress import Progress
    from raycluster.pipeline import run as pipeline
    from raycluster.stages import embeddings

    config = Config(id_column=id_column, embedding_column=embedding_column)
    execution = pipeline.Execution("local")
    with pipeline.opened(source, str(folder / "read"), config, execution, Progress()) as run:
        pipeline.advance(run, embeddings.EMBEDDINGS, execution, Progress())
        np.save(folder / "vectors.npy", embeddings.vectors(run))
        row, labels = labelled_rows(run, label_column)
        identity = np.full(run.rows, UNKNOWN, np.int64)
        identity[row] = labels.indices.to_numpy()
        np.save(folder / "identity.npy", identity)


def search(folder: str, k: int) -> dict[str, float]:
    """Write the K nearest neighbors of every row, exact, beside the vectors: neighbor.npy and similarity.npy."""
    vectors = np.load(Path(folder) / "vectors.npy", mmap_mode="r")
    threads = len(os.sched_getaffinity(0))
    self_top_k(np.ascontiguousarray(vectors[:WARM_UP_ROWS]), 2, threads)
    found: list[Any] = []
    spent = seconds(lambda: found.extend(self_top_k(vectors, k, threads)))
    for name, array in zip(("neighbor", "similarity"), found, strict=True):
        np.save(Path(folder) / f"{name}-{k}.npy", array)
    return {"seconds": spent, "peak_gib": peak_gib()}


def load(folder: str, k: int, memory_gib: float) -> tuple[Prepared, Int64]:
    """The set, and the true identity (N,) of every row."""
    place = Path(folder)
    vectors, neighbor, similarity = (
        np.load(place / f"{name}.npy", mmap_mode="r") for name in ("vectors", f"neighbor-{k}", f"similarity-{k}")
    )
    identity = np.load(place / "identity.npy")
    identities = len(np.unique(identity[identity != UNKNOWN]))
    return Prepared(vectors, neighbor, similarity, identities, memory_gib), identity


def scored(folder: str, k: int, memory_gib: float, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Scores of the labelled rows under a baseline, the seconds it took without neighbors and imports, and its peak."""
    from comparison.baselines import BASELINES

    data, identity = load(folder, k, memory_gib)
    method = BASELINES[name].labels
    with contextlib.suppress(Exception):
        method(data.head(WARM_UP_ROWS), **settings)
    found: list[Int64] = []
    spent = seconds(lambda: found.append(method(data, **settings)))
    peak, known = peak_gib(), identity != UNKNOWN
    return {"scores": metrics.evaluate(identity[known], found[0][known]), "seconds": spent, "peak_gib": peak}
