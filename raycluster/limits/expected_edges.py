"""How many edges rule `threshold` will make, from neighbors of a sample of rows.

Shapes: N rows, D dimensions, S sampled rows, K neighbors per row with the row itself at rank 0.
"""

import numpy as np

from raycluster.arrays import Float32, Vectors
from raycluster.config.stages import Config
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.limits.in_force import decide_limits

LARGEST_BYTES = 2**30
"""Vectors, as float32, up to which a set is read for a sample: a second or two of reading."""
FEWEST, MOST = 256, 2048
"""Sampled rows. Edges per row come out within a tenth on 256 rows; more make that narrower and take longer."""
PRODUCTS = 10**11
"""Multiplications that a sample may cost: about a second on two cores. Raising it samples more rows of a large set."""


def is_worthwhile(config: Config, rows: int, width: int) -> bool:
    """Return whether similarities alone make the edges of few enough rows.

    Parameters
    ----------
    config : Config
        Decides the rule.
    rows, width : int
        N and D of the set.
    """
    return config.edges.rule == "threshold" and 4 * rows * width <= LARGEST_BYTES


def edges_per_row(vectors: Vectors, config: Config, threads: int = 1) -> tuple[float, float]:
    """Return stored edges and edges in force per row.

    Parameters
    ----------
    vectors : (N, D)
        Unit rows.
    config : Config
        Its rule is `threshold`: configured, or picked from the sample as a run picks it from all rows.
    threads : int
        Threads of the search.
    """
    size = min(len(vectors), int(np.clip(PRODUCTS / max(vectors.size, 1), FEWEST, MOST)))
    rows = np.unique(np.linspace(0, len(vectors) - 1, size).astype(np.int32))
    neighbor, similarity = exact_top_k(vectors[rows], rows, vectors, config.knn.k, threads)
    limit = decide_limits(config, neighbor, similarity, vectors, {}).swept_value
    return _pairs_per_row(similarity, limit - config.edges.reserve), _pairs_per_row(similarity, limit)


def _pairs_per_row(similarity: Float32, limit: float) -> float:
    """Return the pairs per row above a limit, from similarities (S, K).

    A pair that both ends list counts half at either. The other end lists a pair if its own K-th neighbor is no nearer,
    which is as likely as among the sampled rows.
    """
    listed = similarity[:, 1:][similarity[:, 1:] >= limit]
    farthest = np.sort(similarity[:, -1])
    both = np.searchsorted(farthest, listed, side="right") / len(farthest)
    return float((1 - both / 2).sum() / len(similarity))
