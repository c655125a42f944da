"""Near copies that lie in different clusters.

Exact copies share a cluster from the start. Near ones are the pairs of highest similarity among all lists.

Shapes: N rows, M candidates.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float64, Int64
from raycluster.review.calibration import Features, probability
from raycluster.review.decided import Decided
from raycluster.review.opened import Opened
from raycluster.review.queue_tables import QueueItem
from raycluster.review.standing import ranked

NEAR = 0.95
"""Similarity from which two rows count as near copies. On faces two pictures of one person have 0.6 to 0.7, and one picture that
was cropped again 0.95 and more. Lowering it lists pairs that merely resemble each other."""


@dataclass(frozen=True)
class Copies:
    """Candidates, the most alike first."""

    one: Int64
    """(M,) the lower row."""
    other: Int64
    """(M,)"""
    similarity: Float64
    """(M,)"""

    @property
    def features(self) -> Features:
        """What the probability is read from."""
        return {"distance": np.log10(np.maximum(1.0 - self.similarity, 1e-6))}


def near_copies(opened: Opened, decided: Decided) -> Copies:
    """Return near copies in different clusters that no decision keeps apart."""
    state, cluster = opened.state, opened.cluster
    row, rank = np.nonzero(state.lists.similarity[:, 1:] >= NEAR)
    other = state.lists.neighbor[row, rank + 1]
    similarity = state.lists.similarity[row, rank + 1].astype(np.float64)
    kept = (other >= 0) & (cluster[row] != cluster[np.maximum(other, 0)])
    low, high = np.minimum(row, other)[kept].astype(np.int64), np.maximum(row, other)[kept].astype(np.int64)
    key, first = np.unique(low << 32 | high, return_index=True)
    one, two, alike = key >> 32, key & 0xFFFFFFFF, np.round(similarity[kept][first], 6)
    free = ~decided.parts(cluster, cluster[one], cluster[two])
    order = ranked(alike, one, two)
    order = order[free[order]]
    return Copies(one[order], two[order], alike[order])


def duplicate_items(opened: Opened, decided: Decided, most: int) -> list[QueueItem]:
    """Return the first items of the queue.

    Parameters
    ----------
    opened : Opened
        The run.
    decided : Decided
        Decisions in force.
    most : int
        Items at most.
    """
    found, ids = near_copies(opened, decided), opened.state.ids
    likely = probability("duplicate", found.features)
    items = []
    for number in range(min(most, len(found.one))):
        rows = int(found.one[number]), int(found.other[number])
        sides = [tuple(ids.take(pa.array([row])).to_pylist()) for row in rows]
        clusters = [int(opened.cluster[row]) for row in rows]
        evidence: dict[str, float | int | str | None] = {
            "similarity": float(found.similarity[number]),
            "rows of the clusters": " and ".join(f"{opened.size[cluster]:,}" for cluster in clusters),
        }
        a, b = (opened.published(cluster) for cluster in clusters)
        items.append(QueueItem(number, "duplicate", a, b, sides[0], sides[1], evidence, float(likely[number])))
    return items
