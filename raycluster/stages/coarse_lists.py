"""Row shards -> the inverted list of every row, for `knn.index: ivf` only."""

import io
import math
from typing import Any

import numpy as np

from raycluster.arrays import Float32, Vectors
from raycluster.config.stages import KnnConfig
from raycluster.kernels.search.inverted_file import InvertedFile, assign_lists, train_centroids
from raycluster.stages import embeddings
from raycluster.storage import schemas
from raycluster.storage.run_folder import Part, Run, Stage

SAMPLE_PER_LIST = 32


def number_of_lists(rows: int, wanted: int | None) -> int:
    """Inverted lists for `rows` rows: as configured, or 8 times the square root, at most one a row."""
    return min(rows, wanted or round(8 * math.sqrt(rows)))


def train(vectors: Vectors, config: KnnConfig, threads: int = 1) -> Float32:
    """Centroids float32 (lists, D) for all rows, trained on a seeded sample of them."""
    lists = number_of_lists(len(vectors), config.lists)
    rng = np.random.default_rng(config.seed)
    rows = np.sort(rng.choice(len(vectors), min(len(vectors), SAMPLE_PER_LIST * lists), replace=False))
    return train_centroids(np.asarray(vectors[rows], np.float32), lists, config.seed, threads)


def prepare(run: Run) -> dict[str, Any]:
    """Train the centroids on a seeded sample and store them beside the stage's shards."""
    vectors = embeddings.vectors(run)
    trained = train(vectors, run.config.knn, run.threads)
    buffer = io.BytesIO()
    np.save(buffer, trained, allow_pickle=False)
    run.store.put(_path(run), buffer.getvalue())
    return {"lists": len(trained)}


def build(vectors: Vectors, config: KnnConfig, threads: int = 1) -> InvertedFile:
    """The inverted file of all rows in one process, as the stage's prepare and shards make it."""
    centroids = train(vectors, config, threads)
    return InvertedFile.group(centroids, assign_lists(vectors, centroids, threads))


def _path(run: Run) -> str:
    return f"{run.folders['lists']}/centroids.npy"


def centroids(run: Run) -> Float32:
    """The trained centroids, float32 (lists, D)."""
    data = run.store.get(_path(run))
    assert data is not None, "centroids are stored before prepared.json"
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))


def compute(run: Run, shard: int) -> Part:
    """Assign a shard's rows to their nearest centroid."""
    start, stop = run.starts[shard : shard + 2]
    vectors = embeddings.vectors(run)
    lists = assign_lists(vectors[start:stop], centroids(run), run.threads)
    return Part([schemas.from_columns(schemas.LISTS, row=np.arange(start, stop, dtype=np.int32), list=lists)])


LISTS = Stage(
    name="lists",
    settings=lambda config: [config.knn.storage, config.knn.lists, config.knn.seed],
    compute=compute,
    prepare=prepare,
    wanted=lambda config: config.knn.index == "ivf" and config.knn.source is None,
)
