"""Exact top-K of all rows among themselves: a tile of scores serves two blocks.

Half the matrix products of `nearest.exact_top_k` suffice.

Shapes: N rows, D dimensions, B rows of a block, k neighbors.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from raycluster.arrays import Float32, Int32, Vectors
from raycluster.kernels.advance import rows_done
from raycluster.kernels.search.candidates import MORE_SLOTS, SLOTS_PER_NEIGHBOR, Candidates, Scores
from raycluster.kernels.search.ordering import rank_crowded
from raycluster.kernels.search.transpose import transpose

BLOCK = 512
"""Rows of a block; a tile of two takes 1 MiB of scores. Results do not depend on it."""
_SLOT_BYTES = 8
"""A score and a row number."""


def bytes_needed(rows: int, k: int) -> int:
    """Return the memory of all rows' candidates, which are held until the last tile."""
    return rows * (SLOTS_PER_NEIGHBOR * k + MORE_SLOTS) * _SLOT_BYTES


def self_top_k(vectors: Vectors, k: int, threads: int = 1) -> tuple[Int32, Float32]:
    """Return what `nearest.exact_top_k` does for every row against all of them.

    Takes `bytes_needed` of memory.

    Parameters
    ----------
    vectors : float32 or float16 (N, D)
        Unit rows.
    k : int
        Neighbors per row, itself at rank 0.
    threads : int
        Tiles that are worked on at once. The result does not depend on it.

    Returns
    -------
    neighbor, similarity : int32 and float32 (N, k)
        By similarity descending, then row ascending.
    """
    join = _SelfJoin(vectors, k)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        tiles = join.tiles()
        for _ in pool.map(join.push_tile, tiles):
            rows_done(len(vectors) / len(tiles))
        blocks = list(pool.map(join.finish, range(len(join.ids))))
    return np.concatenate([neighbor for neighbor, _ in blocks]), np.concatenate(
        [similarity for _, similarity in blocks]
    )


class _SelfJoin:
    """The candidates of all rows, block by block, while threads push tiles."""

    def __init__(self, vectors: Vectors, k: int) -> None:
        starts = range(0, len(vectors), BLOCK)
        self.ids = [np.arange(start, min(start + BLOCK, len(vectors)), dtype=np.int32) for start in starts]
        self._vectors = vectors
        self._candidates = [Candidates(Scores.rounded(len(ids), vectors.shape[1]), k) for ids in self.ids]
        self._locks = [threading.Lock() for _ in self.ids]
        self._buffers = threading.local()
        self._rows = np.arange(BLOCK)

    def tiles(self) -> list[tuple[int, int]]:
        """Return all pairs of blocks. Those of one diagonal share none: few threads wait."""
        count = len(self.ids)
        return [(one, one + apart) for apart in range(count) for one in range(count - apart)]

    def push_tile(self, pair: tuple[int, int]) -> None:
        """Score two blocks against each other and offer the scores to both."""
        one, other = pair
        height, width = len(self.ids[one]), len(self.ids[other])
        if not hasattr(self._buffers, "pair"):
            self._buffers.pair = np.empty(BLOCK * BLOCK, np.float32), np.empty(BLOCK * BLOCK, np.float32)
        scores = self._buffers.pair[0][: height * width].reshape(height, width)
        np.matmul(self._block(one), self._block(other).T, out=scores)
        with self._locks[one]:
            self._candidates[one].push(scores, self.ids[other], self._rows[:height])
        if one != other:
            turned = self._buffers.pair[1][: height * width].reshape(width, height)
            transpose(scores, turned)
            with self._locks[other]:
                self._candidates[other].push(turned, self.ids[one], self._rows[:width])

    def finish(self, number: int) -> tuple[Int32, Float32]:
        """Return the neighbors of one block's rows."""
        queries, ids = self._block(number), self.ids[number]
        neighbor, similarity, crowded = self._candidates[number].finish(queries, ids, self._vectors)
        everything = np.arange(len(self._vectors), dtype=np.int32) if len(crowded) else ids
        rank_crowded(queries, ids, self._vectors, crowded, lambda row: everything, neighbor, similarity)
        return neighbor, similarity

    def _block(self, number: int) -> Float32:
        """The rows of a block (B, D), as float32."""
        ids = self.ids[number]
        return np.ascontiguousarray(self._vectors[ids[0] : ids[-1] + 1], np.float32)
