"""CDP with a single model (Zhan et al. 2018, "Consensus-Driven Propagation").

The vote of its committee is the similarity threshold alone.
"""

import numpy as np

from raycluster.arrays import Float32, Int32, Int64
from raycluster.kernels import edge_rules
from raycluster.kernels.components import components

ROUNDS = 100


def propagate(neighbor: Int32, similarity: Float32, threshold: float, max_size: int, step: float = 0.05) -> Int64:
    """Return labels (N,): components above `threshold`, the large ones cut again.

    neighbor, similarity: (N, K), self first. As in the authors' code: components of at most `max_size` rows are final;
    the rows of the others lose the edges below a limit that starts at the lowest similarity there is and closes a share
    `step` of its distance to 1 every round. What is still too large after 100 rounds (copies of one vector) stays whole.
    Raising `threshold` splits more.
    """
    rows = len(neighbor)
    edges = edge_rules.threshold_edges(
        0, rows, neighbor, similarity, np.nextafter(np.float32(threshold), np.float32(2))
    )
    source, target, weight = edges["source"], edges["target"], edges["weight"]
    label, free = np.full(rows, -1, np.int64), np.ones(rows, bool)
    limit = float(weight.min()) if len(weight) else 1.0
    for turn in range(ROUNDS + 1):
        component = components(source, target, rows)
        small = np.bincount(component[free], minlength=component.max() + 1) <= max_size
        final = free & (small[component] | (turn == ROUNDS))
        label[final] = label.max() + 1 + component[final]
        free &= ~final
        if not free.any():
            break
        limit += (1 - limit) * step
        kept = free[source] & (weight >= np.float32(limit))
        source, target, weight = source[kept], target[kept], weight[kept]
    return label
