"""Rows that may not belong to their cluster.

They stand by the ranks of their margin and of their cosine to the mean vector of the others, the lowest first. Clusters of two
rows are left to the queue of splits.

Shapes: N rows, M candidates.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float64, Int64
from raycluster.review.calibration import Features, probability
from raycluster.review.decided import Decided
from raycluster.review.merge_queue import mean_vectors
from raycluster.review.opened import Opened
from raycluster.review.queue_tables import QueueItem
from raycluster.review.shown import Members, side
from raycluster.review.standing import ranked, tail

FEWEST = 3
"""Rows of a cluster from which single rows are listed. In one of two, neither is the odd one."""


@dataclass(frozen=True)
class Doubts:
    """Candidates, the most doubtful first."""

    row: Int64
    """(M,)"""
    cosine: Float64
    """(M,) to the mean vector of its cluster."""
    standing: Float64
    """(M,)"""

    @property
    def features(self) -> Features:
        """What the probability is read from."""
        return {"standing": self.standing}


def doubts(opened: Opened, decided: Decided) -> Doubts:
    """Return the rows of a run that no decision ties to their cluster."""
    rows = opened.rows[opened.size[opened.cluster[opened.rows]] >= FEWEST]
    means = mean_vectors(opened)[opened.cluster[rows]]
    cosine = np.round(np.einsum("md,md->m", opened.state.vectors[rows], means, dtype=np.float64), 6)
    standing = tail(-opened.margin[rows]) + tail(-cosine)
    # A row that is tied to any row of its cluster was confirmed there.
    tied = decided.same & (opened.cluster[decided.one] == opened.cluster[decided.other])
    confirmed = np.union1d(decided.one[tied], decided.other[tied])
    order = ranked(standing, rows)
    order = order[~np.isin(rows[order], confirmed)]
    return Doubts(rows[order], cosine[order], standing[order])


def row_items(opened: Opened, decided: Decided, most: int) -> list[QueueItem]:
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
    found, members, ids = doubts(opened, decided), Members(opened), opened.state.ids
    likely = probability("row", found.features)
    items = []
    for number, row in enumerate(found.row[:most].tolist()):
        cluster = int(opened.cluster[row])
        others = members.of(cluster)
        others = others[others != row]
        shown = side(int(others[0]), others)
        strength = float(opened.strength[row])
        evidence: dict[str, float | int | str | None] = {
            "margin": round(float(opened.margin[row]), 4),
            "strength": None if np.isnan(strength) else round(strength, 4),
            "cosine to the cluster": round(float(found.cosine[number]), 4),
            "rows of the cluster": int(opened.size[cluster]),
        }
        sides = [tuple(ids.take(pa.array(chosen)).to_pylist()) for chosen in ([row], shown)]
        own = opened.published(cluster)
        items.append(QueueItem(number, "row", own, own, sides[0], sides[1], evidence, float(likely[number])))
    return items
