"""Exact top-K by faiss flat: the engine of GPU workers, and of CPU workers that ask for it.

faiss scores; the order stays ours. It is asked for more neighbors than needed, and these are scored and ordered again by
the fixed kernel, so that near-ties fall as on any other engine. On a GPU, vectors stored as float16 are also searched as
float16, and what its rounding lets slip below the extra neighbors is lost.
"""

import importlib.util
from functools import cache
from typing import Any

import numpy as np

from raycluster.errors import ConfigError
from raycluster.graph.nearest import Float32, Int32, Vectors, rank_candidates, rank_crowded, rounding_band

QUERY_BLOCK = 8192
DATABASE_BLOCK = 2**20
EXTRA = 16


def _faiss() -> Any:
    if importlib.util.find_spec("faiss") is None:
        raise ConfigError("knn.engine faiss needs faiss: install raycluster[cpu] or raycluster[gpu].")
    import faiss

    return faiss


@cache
def gpu_available() -> bool:
    """Whether this process sees a GPU and a faiss that can use it."""
    if importlib.util.find_spec("faiss") is None:
        return False
    faiss = _faiss()
    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


@cache
def _gpu_resources() -> Any:
    return _faiss().StandardGpuResources()


def _search_block(queries: Vectors, database: Vectors, k: int) -> tuple[Float32, Int32]:
    """Scores and positions of the best `k` of one database block, on the GPU where there is one."""
    faiss = _faiss()
    metric = faiss.METRIC_INNER_PRODUCT
    if gpu_available():
        return faiss.knn_gpu(_gpu_resources(), queries, database, k, metric=metric)
    return faiss.knn(np.asarray(queries, np.float32), np.asarray(database, np.float32), k, metric=metric)


def flat_top_k(queries: Vectors, own: Int32, database: Vectors, k: int) -> tuple[Int32, Float32]:
    """The `k` database rows of highest inner product for each query; arguments and result as `nearest.exact_top_k`.

    The database streams through in blocks of about a million rows; each query keeps its best `k` + 16 so far.
    """
    neighbor = np.full((len(queries), k), -1, np.int32)
    similarity = np.full((len(queries), k), -1.0, np.float32)
    everything = np.arange(len(database), dtype=np.int32)
    wanted = min(k + EXTRA, len(database))
    as_float16 = database.dtype == np.float16 and gpu_available()
    for start in range(0, len(queries), QUERY_BLOCK):
        block = np.ascontiguousarray(queries[start : start + QUERY_BLOCK])
        best = np.empty((len(block), 0), np.float32)
        ids = np.empty((len(block), 0), np.int64)
        for first in range(0, len(database), DATABASE_BLOCK):
            part = np.ascontiguousarray(database[first : first + DATABASE_BLOCK])
            scores, positions = _search_block(block, part, min(wanted, len(part)))
            best = np.concatenate([best, scores], axis=1)
            ids = np.concatenate([ids, positions + first], axis=1)
            order = np.argsort(-best, axis=1, kind="stable")[:, :wanted]
            best, ids = np.take_along_axis(best, order, 1), np.take_along_axis(ids, order, 1)
        band = 0.0 if as_float16 else 2 * rounding_band(block.shape[1])
        tied_past_the_end = (best[:, -1] >= np.minimum(best[:, k - 1], 1) - band) & (wanted < len(database))
        wide = np.asarray(block, np.float32)
        rows = slice(start, start + len(block))
        for line in np.flatnonzero(~tied_past_the_end):
            row = start + line
            rank_candidates(
                wide[line], int(own[row]), database, ids[line].astype(np.int32), neighbor[row], similarity[row]
            )
        crowded = np.flatnonzero(tied_past_the_end)
        rank_crowded(wide, own[rows], database, crowded, lambda row: everything, neighbor[rows], similarity[rows])
    return neighbor, similarity
