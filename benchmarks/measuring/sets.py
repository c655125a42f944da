"""Generated and labelled sets as arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from raycluster.arrays import Float32, Int32, Int64
from raycluster.storage.schemas import to_matrix
from raycluster.synthetic.generator import SyntheticConfig, generate, write_parquet

BLOCK = 2**14
"""Rows whose neighbors are generated at once; it bounds the memory of doing so."""


def unit_rows(rows: int, width: int, seed: int = 0) -> Float32:
    """Return random unit vectors (rows, width)."""
    vectors = np.random.default_rng(seed).standard_normal((rows, width), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def generated(config: SyntheticConfig) -> tuple[Float32, Int64]:
    """Return the vectors (N, D) and the identities (N,) of a generated set."""
    blocks = list(generate(config))
    return np.concatenate([block[1] for block in blocks]), np.concatenate([block[2] for block in blocks])


def planted_neighbors(
    rows: int, k: int, identity: int = 100, strangers: float = 0.3, window: int = 0
) -> tuple[Int32, Float32]:
    """Return neighbor lists without a search.

    They hold random members of a row's identity, with strangers between them.

    Parameters
    ----------
    rows, k
        N and K; every row is its own first neighbor.
    identity
        Rows per identity. With few strangers most pairs of an identity list each other.
    strangers
        Share of a list, 0..1, that is drawn from other identities.
    window
        Rows among which a row's neighbors lie, in a random order; 0 means all.

    Returns
    -------
    neighbor int32, similarity float32 (N, K)
        Similarities are random, fall along each row, and start at 1.
    """
    rng = np.random.default_rng(0)
    neighbor, similarity = np.empty((rows, k), np.int32), np.empty((rows, k), np.float32)
    window = window or rows
    firsts = range(0, rows, window)
    place = np.concatenate([first + rng.permutation(min(window, rows - first)) for first in firsts]).astype(np.int32)
    for start in range(0, rows, BLOCK):
        own = np.arange(start, min(start + BLOCK, rows))
        step = np.argsort(rng.random((len(own), identity - 1)), axis=1)[:, : k - 1] + 1
        near = np.minimum(own[:, None] - own[:, None] % identity + (own[:, None] + step) % identity, rows - 1)
        first = (own - own % window)[:, None]
        last = np.minimum(first + window, rows)
        listed = np.where(rng.random(near.shape) < strangers, rng.integers(first, last, near.shape), near)
        neighbor[place[own]] = place[np.column_stack([own, listed])]
        similarity[place[own], 0] = 1
        similarity[place[own], 1:] = np.sort(rng.random(near.shape, np.float32), axis=1)[:, ::-1]
    return neighbor, similarity


def embeddings(path: str) -> Any:
    """Return the vectors (N, D) of a Parquet as they are stored."""
    return to_matrix(pq.read_table(path, columns=["embedding"])["embedding"])


def labelled(path: str) -> tuple[Any, Int64]:
    """Return vectors (N, D) and labels (N,) of a labelled Parquet.

    Labels are numbers from 0; every row must have one.
    """
    codes = pq.read_table(path, columns=["label"])["label"].combine_chunks().dictionary_encode().indices
    return embeddings(path), np.asarray(codes.to_numpy(), np.int64)


def small(folder: str, rows: int = 400, seed: int = 0) -> str:
    """Write a labelled set of width 32 for --quick to `folder`, and return its path."""
    config = SyntheticConfig(
        rows=rows, width=32, effective_dimension=24, mean_size=8, max_size=40, same_cosine=0.85, seed=seed
    )
    path = Path(folder) / f"small-{seed}"
    write_parquet(config, str(path))
    return str(path)
