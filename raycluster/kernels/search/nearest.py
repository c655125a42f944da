"""Exact top-K by inner product on the CPU: tiles of products, fused selection.

The result is the same for every tile, shard and thread layout (`candidates`, `ordering`).

Shapes: Q queries, N database rows, D dimensions, k neighbors.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from raycluster.arrays import Float32, Int32, Vectors
from raycluster.kernels.advance import rows_done
from raycluster.kernels.search.candidates import Candidates
from raycluster.kernels.search.ordering import rank_crowded

QUERY_BLOCK = 1024
"""Queries that meet a tile at once. With 512 dimensions a block takes 2 MiB. Results do not depend on it."""
DATABASE_TILE = 512
"""Database rows of a tile: 1 MiB with 512 dimensions, and 2 MiB of scores, near the L2 cache. Results do not depend on it."""


def exact_top_k(queries: Vectors, own: Int32, database: Vectors, k: int, threads: int = 1) -> tuple[Int32, Float32]:
    """Return the `k` database rows of highest inner product for each query.

    Parameters
    ----------
    queries, database : float32 or float16 (Q, D) and (N, D)
        Unit rows. Those of float16 are widened tile by tile.
    own : int32 (Q,)
        Each query's own database row, forced to rank 0 with similarity 1; -1 for a query that is none.
    k : int
        Neighbors per query.
    threads : int
        Query blocks that run at once, each with a single-threaded BLAS. The result does not depend on it.

    Returns
    -------
    neighbor, similarity : int32 and float32 (Q, k)
        By similarity descending, at most 1, then row ascending; -1 in both where N is below k.
    """

    def candidates_of(_: int) -> Int32:
        return np.arange(len(database), dtype=np.int32)

    def block(start: int) -> tuple[Int32, Float32]:
        wide = np.ascontiguousarray(queries[start : start + QUERY_BLOCK], np.float32)
        ids = own[start : start + QUERY_BLOCK]
        candidates = Candidates(len(wide), wide.shape[1], k)
        rows = np.arange(len(wide))
        scores = np.empty((len(wide), DATABASE_TILE), np.float32)
        for first in range(0, len(database), DATABASE_TILE):
            tile = np.asarray(database[first : first + DATABASE_TILE], np.float32)
            products = np.matmul(wide, tile.T, out=scores if len(tile) == DATABASE_TILE else None)
            candidates.push(products, np.arange(first, first + len(tile), dtype=np.int32), rows)
        neighbor, similarity, crowded = candidates.finish(wide, ids, database)
        rank_crowded(wide, ids, database, crowded, candidates_of, neighbor, similarity)
        return neighbor, similarity

    return map_blocks(block, len(queries), QUERY_BLOCK, threads)


def map_blocks(
    block: Callable[[int], tuple[Int32, Float32]], rows: int, size: int, threads: int
) -> tuple[Int32, Float32]:
    """Run a function on every block of rows and stack its results in order.

    Parameters
    ----------
    block : callable
        From the first row of a block to the neighbors and similarities of its rows.
    rows, size : int
        Rows in all, and per block.
    threads : int
        Blocks that run at once, each with a single-threaded BLAS.
    """

    def counted(start: int) -> tuple[Int32, Float32]:
        result = block(start)
        rows_done(len(result[0]))
        return result

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        # Without rows one empty block gives the results their shape.
        blocks = list(pool.map(counted, range(0, max(rows, 1), size)))
    return np.concatenate([neighbor for neighbor, _ in blocks]), np.concatenate(
        [similarity for _, similarity in blocks]
    )
