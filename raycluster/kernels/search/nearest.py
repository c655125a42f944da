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
from raycluster.kernels.search.candidates import Candidates, Scores
from raycluster.kernels.search.codes import (
    COARSEST,
    Codes,
    encode,
    in_worker,
    load,
    one_thread_per_product,
    pay,
    products,
)
from raycluster.kernels.search.ordering import rank_crowded

QUERY_BLOCK = 1024
"""Queries that meet a tile at once. With 512 dimensions a block takes 2 MiB. Results do not depend on it."""
DATABASE_TILE = 512
"""Database rows of a tile: 1 MiB with 512 dimensions, and 2 MiB of scores, near the L2 cache. Results do not depend on it."""
CODED_SLOTS = 3
"""Slots of a query that codes propose candidates for, in multiples of those of floats: their slack is wider."""


def exact_top_k(
    queries: Vectors, own: Int32, database: Vectors, k: int, threads: int = 1, codes: Codes | None = None
) -> tuple[Int32, Float32]:
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
    codes : Codes, optional
        Those of the database, where they are there already. The result does not depend on them.

    Returns
    -------
    neighbor, similarity : int32 and float32 (Q, k)
        By similarity descending, at most 1, then row ascending; -1 in both where N is below k.
    """
    if codes is None and pay(len(queries), len(database), database.shape[1]):
        codes = encode(database, threads=threads)
    if codes is not None and (
        codes.largest_error > COARSEST or not load(len(queries), len(database), database.shape[1])
    ):
        codes = None
    coarsest = 0.0 if codes is None else codes.largest_error

    def candidates_of(_: int) -> Int32:
        return np.arange(len(database), dtype=np.int32)

    def by_floats(wide: Float32) -> Candidates:
        candidates = Candidates(Scores.rounded(*wide.shape), k)
        rows = np.arange(len(wide))
        scores = np.empty((len(wide), DATABASE_TILE), np.float32)
        for first in range(0, len(database), DATABASE_TILE):
            tile = np.asarray(database[first : first + DATABASE_TILE], np.float32)
            made = np.matmul(wide, tile.T, out=scores if len(tile) == DATABASE_TILE else None)
            candidates.push(made, np.arange(first, first + len(tile), dtype=np.int32), rows)
        return candidates

    def by_codes(wide: Float32, codes: Codes) -> Candidates:
        coded, rows = encode(wide), np.arange(len(wide))
        scores = Scores.of_codes(coded.certain_slack(coarsest), coded.unit)
        candidates = Candidates(scores, k, slots=CODED_SLOTS)
        for first in range(0, len(database), DATABASE_TILE):
            tile = codes.rows[first : first + DATABASE_TILE]
            ids = (
                np.arange(first, first + len(tile), dtype=np.int32)
                if codes.order is None
                else codes.order[first : first + len(tile)]
            )
            candidates.push(products(coded.rows, tile), ids, rows)
        return candidates

    def block(start: int) -> tuple[Int32, Float32]:
        wide = np.ascontiguousarray(queries[start : start + QUERY_BLOCK], np.float32)
        ids = own[start : start + QUERY_BLOCK]
        candidates = by_floats(wide) if codes is None else by_codes(wide, codes)
        neighbor, similarity, crowded = candidates.finish(wide, ids, database)
        if codes is not None and len(crowded):
            # Within the wider slack of codes only. Floats leave hardly any crowded.
            few = np.ascontiguousarray(wide[crowded])
            neighbor[crowded], similarity[crowded], still = by_floats(few).finish(few, ids[crowded], database)
            crowded = crowded[still]
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

    with (
        threadpool_limits(1, "blas"),
        one_thread_per_product(),
        ThreadPoolExecutor(threads, "search", in_worker) as pool,
    ):
        # Without rows one empty block gives the results their shape.
        blocks = list(pool.map(counted, range(0, max(rows, 1), size)))
    return np.concatenate([neighbor for neighbor, _ in blocks]), np.concatenate(
        [similarity for _, similarity in blocks]
    )
