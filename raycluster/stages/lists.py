"""Row shards -> the inverted list of every row, for `knn.index: ivf` only."""

import io
import math
from typing import Any

import numpy as np

from raycluster import schemas, scratch
from raycluster.config import KnnConfig
from raycluster.graph.inverted_file import assign_lists, train_centroids
from raycluster.graph.nearest import Float32, Int64
from raycluster.run import Part, Run, Stage

SAMPLE_PER_LIST = 64


def number_of_lists(rows: int, wanted: int | None) -> int:
    """Inverted lists for `rows` rows: as configured, or 4 times the square root, at most one a row."""
    return min(rows, wanted or round(4 * math.sqrt(rows)))


def training_rows(rows: int, config: KnnConfig) -> tuple[int, Int64]:
    """How many lists to train, and the seeded sample of rows to train them on."""
    lists = number_of_lists(rows, config.lists)
    rng = np.random.default_rng(config.seed)
    return lists, np.sort(rng.choice(rows, min(rows, SAMPLE_PER_LIST * lists), replace=False))


def prepare(run: Run) -> dict[str, Any]:
    """Train the centroids on a seeded sample and store them beside the stage's shards."""
    vectors = scratch.joined(run, "embeddings", "embedding", run.config.knn.storage)
    lists, rows = training_rows(run.rows, run.config.knn)
    sample = np.asarray(vectors[rows], np.float32)
    buffer = io.BytesIO()
    np.save(buffer, train_centroids(sample, lists, run.config.knn.seed, run.threads), allow_pickle=False)
    run.store.put(_path(run), buffer.getvalue())
    return {"lists": lists}


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
    vectors = scratch.joined(run, "embeddings", "embedding", run.config.knn.storage)
    lists = assign_lists(vectors[start:stop], centroids(run), run.threads)
    return Part([schemas.from_columns(schemas.LISTS, row=np.arange(start, stop, dtype=np.int32), list=lists)])


LISTS = Stage(
    name="lists",
    settings=lambda config: [config.knn.storage, config.knn.lists, config.knn.seed],
    compute=compute,
    prepare=prepare,
    wanted=lambda config: config.knn.index == "ivf" and config.knn.source is None,
)
