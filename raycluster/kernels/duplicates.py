"""Rows whose vectors are bit for bit the same.

Shapes: N rows, D dimensions.
"""

import numpy as np

from raycluster.arrays import Array, Bool, Int32, Int64
from raycluster.kernels import numba

ROWS_PER_CALL = 2**16
"""Rows hashed at once, 65,536: 64 MB at a width of 256 in float32. Results do not depend on it."""
PRIME = np.uint64(0x100000001B3)
OFFSET = np.uint64(0xCBF29CE484222325)
"""The FNV-1a hash of 64 bits (Fowler, Noll, Vo), over words of 8 bytes. Rows of one hash are compared, so that a collision
costs time and nothing else."""


def row_hashes(vectors: Array) -> Int64:
    """Return a hash (N,) of the bytes of each row (N, D), read in blocks."""
    hashes = np.empty(len(vectors), np.uint64)
    for start in range(0, len(vectors), ROWS_PER_CALL):
        block = np.ascontiguousarray(vectors[start : start + ROWS_PER_CALL])
        width = block.shape[1] * block.itemsize
        padded = np.zeros((len(block), -(-width // 8) * 8), np.uint8)
        padded[:, :width] = block.view(np.uint8).reshape(len(block), width)
        _hash(padded.view(np.uint64), hashes[start : start + len(block)])
    return hashes.view(np.int64)


@numba.njit(nogil=True, cache=True)
def _hash(words, hashes):  # type: ignore[no-untyped-def]
    for row in range(words.shape[0]):
        value = OFFSET
        for word in words[row]:
            value = (value ^ word) * PRIME
            # A product moves bits only upwards; the shift brings high bits down again.
            value ^= value >> np.uint64(32)
        hashes[row] = value


def originals(vectors: Array, alone: Bool | None = None, hashes: Int64 | None = None) -> Int32:
    """Return the lowest row (N,) that holds the same vector as each row.

    Rows are equal where all their bytes are: 0.0 and -0.0 differ.

    Parameters
    ----------
    vectors : (N, D)
        Any dtype. Only rows with equal hashes are read.
    alone : (N,) bool
        Rows that are never collapsed, since a decision parts them from a copy; none means that all may be.
    hashes : (N,) int64
        Of `row_hashes`, where they have been computed before, shard by shard; none computes them.
    """
    hashes = row_hashes(vectors) if hashes is None else hashes
    original = np.arange(len(vectors), dtype=np.int32)
    rows = original if alone is None else np.flatnonzero(~alone).astype(np.int32)
    rows = rows[np.argsort(hashes[rows], kind="stable")]
    same = hashes[rows[1:]] == hashes[rows[:-1]]
    # Bounds of the runs of rows with one hash, those of one row left out.
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    for begin, end in edges.reshape(-1, 2):
        _compare(vectors, rows[begin : end + 1], original)
    return original


def _compare(vectors: Array, rows: Int32, original: Int32) -> None:
    """Find the copies among rows of one hash, ascending.

    Several vectors may share it.
    """
    while len(rows) > 1:
        first = np.frombuffer(np.ascontiguousarray(vectors[rows[0]]).tobytes(), np.uint8)
        equal = np.empty(len(rows), bool)
        for start in range(0, len(rows), ROWS_PER_CALL):
            block = np.ascontiguousarray(vectors[rows[start : start + ROWS_PER_CALL]])
            equal[start : start + len(block)] = (block.view(np.uint8).reshape(len(block), -1) == first).all(axis=1)
        original[rows[equal]] = rows[0]
        rows = rows[~equal]
