"""Exact top-K by faiss flat: the engine of GPU workers, or of CPU ones on request.

faiss scores; the order stays ours. It returns more neighbors than needed. These are scored and ordered again by the fixed
kernel, so that near-ties fall as on any other engine. The database streams through in blocks. Each is put on the GPU once and
meets all queries, which keep a running best. So the database may be larger than the GPU's memory. On a GPU, vectors stored as
float16 are also held and searched as float16. What this rounding lets slip below the extra neighbors is lost.

Shapes: Q queries, N database rows, D dimensions, k neighbors, W = k + EXTRA of faiss.
"""

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Vectors
from raycluster.errors import ConfigError
from raycluster.kernels.advance import rows_done
from raycluster.kernels.search.ordering import rank_candidates, rank_crowded, rounding_band

QUERY_BLOCK = 8192
"""Queries per call of faiss: 16 MiB with 512 dimensions. Results do not depend on it."""
DATABASE_BYTES = 2**30
"""Bytes of a database block as float32. Raising it takes more GPU memory and makes fewer passes over the queries."""
EXTRA = 16
"""Neighbors beyond k that faiss returns. Raising it costs time and makes fewer queries crowded. On a GPU with float16 it also
loses fewer neighbors to rounding."""


def _faiss() -> Any:
    """Return the module; raise ConfigError where it is not installed."""
    if importlib.util.find_spec("faiss") is None:
        raise ConfigError("knn.engine faiss needs faiss: install raycluster[cpu] or raycluster[gpu].")
    import faiss

    return faiss


@cache
def gpu_available() -> bool:
    """Whether this process has a GPU and a faiss that can use it."""
    if importlib.util.find_spec("faiss") is None:
        return False
    faiss = _faiss()
    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


@cache
def _gpu_resources() -> Any:
    """Scratch memory on the GPU, made once per process."""
    return _faiss().StandardGpuResources()


def _searcher(block: Vectors) -> Callable[[Float32, int], tuple[Float32, Int32]]:
    """Return a function from queries and k to scores and positions in the block."""
    faiss = _faiss()
    if not gpu_available():
        wide = np.ascontiguousarray(block, np.float32)
        return lambda queries, k: faiss.knn(queries, wide, k, metric=faiss.METRIC_INNER_PRODUCT)
    config = faiss.GpuIndexFlatConfig()
    config.useFloat16 = block.dtype == np.float16
    index = faiss.GpuIndexFlatIP(_gpu_resources(), block.shape[1], config)
    index.add(np.ascontiguousarray(block, np.float32))
    return lambda queries, k: index.search(queries, k)


def flat_top_k(queries: Vectors, own: Int32, database: Vectors, k: int) -> tuple[Int32, Float32]:
    """Return the `k` database rows of highest inner product for each query.

    Takes one block of the database, about 1 GiB, on the GPU and 8 (k + 16) bytes per query.

    Parameters
    ----------
    queries, database : float32 or float16 (Q, D) and (N, D)
        Unit rows.
    own : int32 (Q,)
        Each query's own database row, forced to rank 0 with similarity 1; -1 for a query that is none.
    k : int
        Neighbors per query.

    Returns
    -------
    neighbor, similarity : int32 and float32 (Q, k)
        As of `nearest.exact_top_k`.
    """
    score, candidate = _best_of_blocks(queries, database, min(k + EXTRA, len(database)))
    crowded = _is_tied_past_the_end(score, k, database)
    neighbor = np.full((len(queries), k), -1, np.int32)
    similarity = np.full((len(queries), k), -1.0, np.float32)
    everything = np.arange(len(database), dtype=np.int32) if crowded.any() else np.empty(0, np.int32)
    for start in range(0, len(queries), QUERY_BLOCK):
        rows = slice(start, start + QUERY_BLOCK)
        wide = np.asarray(queries[rows], np.float32)
        for line in np.flatnonzero(~crowded[rows]):
            row = start + line
            rank_candidates(wide[line], int(own[row]), database, candidate[row], neighbor[row], similarity[row])
        in_full = np.flatnonzero(crowded[rows])
        rank_crowded(wide, own[rows], database, in_full, lambda row: everything, neighbor[rows], similarity[rows])
    return neighbor, similarity


def _best_of_blocks(queries: Vectors, database: Vectors, width: int) -> tuple[Float32, Int32]:
    """Return faiss's best scores and rows (Q, width), in descending order of score."""
    best = np.full((len(queries), width), -np.inf, np.float32)
    ids = np.full((len(queries), width), -1, np.int32)
    height = max(1, DATABASE_BYTES // (4 * database.shape[1]))
    for first in range(0, len(database), height):
        _meet(queries, database[first : first + height], first, best, ids, len(database))
    return best, ids


def _meet(queries: Vectors, block: Vectors, first: int, best: Float32, ids: Int32, rows_of_all: int) -> None:
    """Merge the best of a block, which starts at row `first`, into the best (Q, W).

    The block is gone from the GPU when this returns.

    Parameters
    ----------
    queries, block
        Unit rows (Q, D), and those of the block.
    first
        Number of the block's first row.
    best, ids
        float32 and int32 (Q, W), written.
    rows_of_all
        Rows of the database, N, by which progress is counted.
    """
    search = _searcher(block)
    width = best.shape[1]
    for start in range(0, len(queries), QUERY_BLOCK):
        rows = slice(start, start + QUERY_BLOCK)
        block_scores, positions = search(np.ascontiguousarray(queries[rows], np.float32), min(width, len(block)))
        scores = np.concatenate([best[rows], block_scores], axis=1)
        # Stable: of equal scores the earlier block's come first.
        order = np.argsort(-scores, axis=1, kind="stable")[:, :width]
        all_ids = np.concatenate([ids[rows], (positions + first).astype(np.int32)], axis=1)
        best[rows], ids[rows] = np.take_along_axis(scores, order, 1), np.take_along_axis(all_ids, order, 1)
        rows_done(len(scores) * len(block) / rows_of_all)


def _is_tied_past_the_end(score: Float32, k: int, database: Vectors) -> Bool:
    """Return which queries (Q,) may have a neighbor among rows that faiss left out.

    Their last score lies within the rounding of two products of the k-th. Scores of float16 on a GPU are not that exact: there
    only exact ties count.
    """
    if score.shape[1] == len(database):
        return np.zeros(len(score), bool)
    as_float16 = database.dtype == np.float16 and gpu_available()
    band = 0.0 if as_float16 else 2 * rounding_band(database.shape[1])
    return np.asarray(score[:, -1] >= np.minimum(score[:, k - 1], 1) - band)
