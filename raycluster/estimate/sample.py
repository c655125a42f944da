"""How many edges to expect of rule `threshold`, from exact neighbors of a sample of the input's own rows."""

from typing import Any

import numpy as np

from raycluster.arrays import Float32
from raycluster.config.stages import Config
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.stages import edges
from raycluster.stages.ingest import BATCH_ROWS, normalize, read_vectors
from raycluster.storage.object_store import Store

LARGEST_BYTES = 2**30
FEWEST, MOST = 256, 2048
PRODUCTS = 10**11
"""Multiplications a sample may cost."""


def worth_it(config: Config, rows: int, width: int) -> bool:
    """Whether the rule reads nothing but similarities and the input is small enough to be read for this."""
    return config.edges.rule == "threshold" and rows * width * 4 <= LARGEST_BYTES


def edges_a_row(plan: dict[str, Any], config: Config, threads: int) -> tuple[float, float]:
    """Stored edges and edges in force a row of the planned input.

    Rows that cannot be normalized are left out.
    """
    vectors = _vectors(plan, config)
    size = min(len(vectors), int(np.clip(PRODUCTS / max(vectors.size, 1), FEWEST, MOST)))
    rows = np.unique(np.linspace(0, len(vectors) - 1, size).astype(np.int32))
    neighbor, similarity = exact_top_k(vectors[rows], rows, vectors, config.knn.k, threads)
    limit = edges.settle(config, neighbor, similarity, vectors, {})["threshold"]
    return _counted(similarity, limit - config.edges.reserve), _counted(similarity, limit)


def _counted(similarity: Float32, limit: float) -> float:
    """Pairs a row above a limit: one that both ends list counts half at each.

    The other end lists a pair if its own K-th neighbor is no nearer, which is as likely as among the sampled rows.
    """
    listed = similarity[:, 1:][similarity[:, 1:] >= limit]
    farthest = np.sort(similarity[:, -1])
    both = np.searchsorted(farthest, listed, side="right") / len(farthest)
    return float((1 - both / 2).sum() / len(similarity))


def _vectors(plan: dict[str, Any], config: Config) -> Float32:
    store, column, parts = Store(plan["input"]["url"]), config.embedding_column, []
    for number, file in enumerate(plan["input"]["files"]):
        groups = [group for piece in plan["pieces"] if piece["file"] == number for group in piece["groups"]]
        row = 0
        with store.parquet(file["path"]) as opened:
            for batch in opened.iter_batches(BATCH_ROWS, row_groups=groups, columns=[column]):
                where = f"{store.name(file['path'])}, column '{column}'"
                values, null = read_vectors(batch.column(0), plan["input"]["width"], where, row)
                unit, reason = normalize(values)
                parts.append(unit[(reason == 0) & ~null])
                row += len(unit)
    return np.concatenate(parts)
