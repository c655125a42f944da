"""Generated and labelled sets as arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from raycluster.arrays import Float32, Int64
from raycluster.storage.schemas import to_matrix
from raycluster.synthetic.generator import SyntheticConfig, generate, write_parquet


def unit_rows(rows: int, width: int, seed: int = 0) -> Float32:
    """Return random unit vectors (rows, width)."""
    vectors = np.random.default_rng(seed).standard_normal((rows, width), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def generated(config: SyntheticConfig) -> tuple[Float32, Int64]:
    """Return the vectors (N, D) and the identities (N,) of a generated set."""
    blocks = list(generate(config))
    return np.concatenate([block[1] for block in blocks]), np.concatenate([block[2] for block in blocks])


def embeddings(path: str) -> Any:
    """Return the vectors (N, D) of a Parquet as they are stored."""
    return to_matrix(pq.read_table(path, columns=["embedding"])["embedding"])


def labelled(path: str) -> tuple[Any, Int64]:
    """Return the vectors (N, D) of a labelled Parquet and its labels (N,) as numbers from 0; every row has one."""
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
