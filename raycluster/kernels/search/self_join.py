"""Exact top-K of all rows among themselves: every tile of scores serves both of its sides, so half the gemm suffices."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from raycluster.arrays import Float32, Int32, Vectors
from raycluster.kernels.search.nearest import Candidates, rank_crowded

BLOCK = 512
_TRANSPOSE_TILE = 32


@numba.njit(nogil=True, cache=True)
def _transpose(source, target):  # type: ignore[no-untyped-def]
    rows, columns = source.shape
    for first in range(0, rows, _TRANSPOSE_TILE):
        for left in range(0, columns, _TRANSPOSE_TILE):
            for row in range(first, min(first + _TRANSPOSE_TILE, rows)):
                for column in range(left, min(left + _TRANSPOSE_TILE, columns)):
                    target[column, row] = source[row, column]


def bytes_needed(rows: int, k: int) -> int:
    """Memory for the candidates of all rows, which are held until the last tile has passed."""
    return rows * (4 * k + 64) * 8


def self_top_k(vectors: Vectors, k: int, threads: int = 1) -> tuple[Int32, Float32]:
    """`nearest.exact_top_k` of every row of `vectors` (N, D) against all of them, with the same result.

    Takes `bytes_needed` of memory. `threads` tiles are worked on at once; the result does not depend on it.
    """
    starts = range(0, len(vectors), BLOCK)
    ids = [np.arange(start, min(start + BLOCK, len(vectors)), dtype=np.int32) for start in starts]
    candidates = [Candidates(len(own), vectors.shape[1], k) for own in ids]
    locks = [threading.Lock() for _ in ids]
    buffers = threading.local()
    rows = np.arange(BLOCK)

    def block(number: int) -> Float32:
        return np.ascontiguousarray(vectors[ids[number][0] : ids[number][-1] + 1], np.float32)

    def tile(pair: tuple[int, int]) -> None:
        one, other = pair
        if not hasattr(buffers, "pair"):
            buffers.pair = np.empty(BLOCK * BLOCK, np.float32), np.empty(BLOCK * BLOCK, np.float32)
        height, width = len(ids[one]), len(ids[other])
        scores = buffers.pair[0][: height * width].reshape(height, width)
        np.matmul(block(one), block(other).T, out=scores)
        with locks[one]:
            candidates[one].push(scores, ids[other], rows[: len(ids[one])])
        if one != other:
            turned = buffers.pair[1][: height * width].reshape(width, height)
            _transpose(scores, turned)
            with locks[other]:
                candidates[other].push(turned, ids[one], rows[: len(ids[other])])

    everything = np.arange(len(vectors), dtype=np.int32)

    def finish(number: int) -> tuple[Int32, Float32]:
        queries = block(number)
        neighbor, similarity, crowded = candidates[number].finish(queries, ids[number], vectors)
        rank_crowded(queries, ids[number], vectors, crowded, lambda row: everything, neighbor, similarity)
        return neighbor, similarity

    count = len(ids)
    pairs = [(one, one + apart) for apart in range(count) for one in range(count - apart)]
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(tile, pairs):
            pass
        parts = list(pool.map(finish, range(count)))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
