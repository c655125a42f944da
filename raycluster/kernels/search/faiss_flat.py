"""Exact top-K by faiss flat: the engine of GPU workers, and of CPU workers that ask for it.

faiss scores; the order stays ours. It is asked for more neighbors than needed, and these are scored and ordered again by
the fixed kernel, so that near-ties fall as on any other engine. The database streams through in blocks, each put on the
GPU once and met there by all queries, which keep a running best: so it may be larger than the GPU's memory. On a GPU,
vectors stored as float16 are also held and searched as float16, and what its rounding lets slip below the extra neighbors
is lost.
"""

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from raycluster.arrays import Float32, Int32, Vectors
from raycluster.errors import ConfigError
from raycluster.kernels.search.nearest import rank_candidates, rank_crowded, rounding_band

QUERY_BLOCK = 8192
DATABASE_BYTES = 2**30
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


def _searcher(block: Vectors) -> Callable[[Float32, int], tuple[Float32, Int32]]:
    """A function from queries and k to scores and positions of the best k in `block`, on the GPU where there is one."""
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
    """The `k` database rows of highest inner product for each query; arguments and result as `nearest.exact_top_k`.

    Takes one block of the database (about 1 GiB as float32) on the GPU, and 8 (`k` + 16) bytes a query.
    """
    wanted = min(k + EXTRA, len(database))
    best = np.full((len(queries), wanted), -np.inf, np.float32)
    ids = np.full((len(queries), wanted), -1, np.int32)
    blocks = [slice(start, start + QUERY_BLOCK) for start in range(0, len(queries), QUERY_BLOCK)]
    height = max(1, DATABASE_BYTES // (4 * database.shape[1]))

    def meet(first: int) -> None:
        """Show the database block from row `first` on to all queries; it is gone from the GPU afterwards."""
        part = database[first : first + height]
        search = _searcher(part)
        for rows in blocks:
            found, positions = search(np.ascontiguousarray(queries[rows], np.float32), min(wanted, len(part)))
            scores = np.concatenate([best[rows], found], axis=1)
            order = np.argsort(-scores, axis=1, kind="stable")[:, :wanted]
            all_ids = np.concatenate([ids[rows], (positions + first).astype(np.int32)], axis=1)
            best[rows], ids[rows] = np.take_along_axis(scores, order, 1), np.take_along_axis(all_ids, order, 1)

    for first in range(0, len(database), height):
        meet(first)
    neighbor = np.full((len(queries), k), -1, np.int32)
    similarity = np.full((len(queries), k), -1.0, np.float32)
    everything = np.arange(len(database), dtype=np.int32)
    as_float16 = database.dtype == np.float16 and gpu_available()
    band = 0.0 if as_float16 else 2 * rounding_band(database.shape[1])
    for rows in blocks:
        tied_past_the_end = (best[rows, -1] >= np.minimum(best[rows, k - 1], 1) - band) & (wanted < len(database))
        wide = np.asarray(queries[rows], np.float32)
        for line in np.flatnonzero(~tied_past_the_end):
            row = rows.start + line
            rank_candidates(wide[line], int(own[row]), database, ids[row], neighbor[row], similarity[row])
        crowded = np.flatnonzero(tied_past_the_end)
        rank_crowded(wide, own[rows], database, crowded, lambda row: everything, neighbor[rows], similarity[rows])
    return neighbor, similarity
