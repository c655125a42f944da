"""Row shards -> the k nearest neighbors of every row by cosine, the row itself first.

Query-stationary: a worker holds a shard's rows as queries and streams all vectors past them from a node-local copy. No
shuffle and no merge between tasks, so every shard can be run again alone.
"""

from typing import Any

import numpy as np

from raycluster import schemas, scratch
from raycluster.config import KnnConfig
from raycluster.errors import InputError
from raycluster.graph import faiss_flat
from raycluster.graph.inverted_file import InvertedFile, probe_top_k
from raycluster.graph.nearest import Float32, Int32, Vectors, exact_top_k
from raycluster.graph.self_join import bytes_needed, self_top_k
from raycluster.run import Part, Run, Stage
from raycluster.stages import lists, neighbors

SELF_JOIN_BYTES = 2**31


def search(
    vectors: Vectors,
    start: int,
    stop: int,
    config: KnnConfig,
    threads: int = 1,
    index: InvertedFile | None = None,
) -> tuple[Int32, Float32]:
    """Neighbor int32 and similarity float32 (stop - start, k) of rows start..stop among all of `vectors` (N, D), unit.

    Rank 0 is the row itself with similarity 1; then similarity descending, ties by row ascending. Similarities are
    rounded to float32 from one fixed float64 sum a pair, so the result does not depend on how the rows are cut. With an
    `index`, only the configured number of its lists is searched, and ranks left empty hold -1.
    """
    own = np.arange(start, stop, dtype=np.int32)
    if index is not None:
        probes = min(config.probes, len(index.centroids))
        return probe_top_k(vectors[start:stop], own, vectors, index, probes, config.k, threads)
    if config.engine == "faiss" or (config.engine == "auto" and faiss_flat.gpu_available()):
        return faiss_flat.flat_top_k(vectors[start:stop], own, vectors, config.k)
    if stop - start == len(vectors) and bytes_needed(stop, config.k) <= SELF_JOIN_BYTES:
        return self_top_k(vectors, config.k, threads)
    return exact_top_k(vectors[start:stop], own, vectors, config.k, threads)


def require_rows(config: KnnConfig, rows: int, source: str) -> None:
    """Raise InputError where `source` has no more rows than a list is long."""
    if config.k >= rows:
        raise InputError(f"knn.k is {config.k}, but {source} has only {rows} rows; choose a k below {rows}.")


def prepare(run: Run) -> dict[str, Any]:
    """Nothing to find out, only to refuse: too few rows, or a kNN table of other rows."""
    require_rows(run.config.knn, run.rows, run.plan["input"]["url"])
    if run.config.knn.source is not None:
        neighbors.require_matching_rows(run, run.config.knn.source)
    return {}


def compute(run: Run, shard: int) -> Part:
    """Search one shard's rows."""
    start, stop = run.starts[shard : shard + 2]
    vectors = scratch.joined(run, "embeddings", "embedding", run.config.knn.storage)
    index = None
    if lists.LISTS.wanted(run.config):
        index = InvertedFile.group(lists.centroids(run), np.asarray(scratch.joined(run, "lists", "list", "int32")))
    if run.config.knn.source is not None:
        neighbor, similarity = neighbors.read(run, run.config.knn.source, start, stop, vectors)
    else:
        neighbor, similarity = search(vectors, start, stop, run.config.knn, run.threads, index)
    rows = np.arange(start, stop, dtype=np.int32)
    schema = schemas.knn(run.config.knn.k)
    return Part([schemas.from_columns(schema, row=rows, neighbor=neighbor, similarity=similarity)])


KNN = Stage(name="knn", settings=lambda config: config.knn.__dict__, compute=compute, prepare=prepare, gpu=True)
