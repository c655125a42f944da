"""Clusters that may be two identities, each as two halves along its weakest cut.

They stand by the ranks of two numbers, the lowest first: the mean of the best five values between the halves, and the cosine of
their mean vectors.

Shapes: M candidates.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float64, Int64
from raycluster.review.calibration import Features, probability
from raycluster.review.decided import Decided
from raycluster.review.halves import Halves, halved
from raycluster.review.opened import Opened
from raycluster.review.queue_tables import QueueItem
from raycluster.review.shown import Members, side
from raycluster.review.standing import ranked, tail

DOUBTFUL = 0.2
"""Margin below which a row counts as doubtful in the evidence: other clusters are nearly as near. It decides nothing."""


@dataclass(frozen=True)
class Splits:
    """Candidates, the most likely first."""

    halves: Halves
    place: Int64
    """(M,) position of each in `halves`."""
    standing: Float64
    """(M,)"""

    @property
    def features(self) -> Features:
        """What the probability is read from."""
        return {"standing": self.standing}


def splits(opened: Opened, decided: Decided) -> Splits:
    """Return the clusters of a run whose halves no decision ties."""
    halves = halved(opened)
    standing = tail(-halves.best) + tail(-halves.cosine)
    group = 2 * opened.cluster.astype(np.int64) + ~halves.is_first
    free = ~decided.ties(group, 2 * halves.cluster, 2 * halves.cluster + 1)
    order = ranked(standing, halves.cluster)
    order = order[free[order]]
    return Splits(halves, order, standing[order])


def split_items(opened: Opened, decided: Decided, most: int) -> list[QueueItem]:
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
    found, members, ids = splits(opened, decided), Members(opened), opened.state.ids
    halves, likely = found.halves, probability("split", found.features)
    items = []
    for number, place in enumerate(found.place[:most].tolist()):
        cluster = int(halves.cluster[place])
        rows = members.of(cluster)
        is_first = halves.is_first[rows]
        sides = [
            tuple(ids.take(pa.array(side(int(bridge), rows, chosen))).to_pylist())
            for bridge, chosen in zip(halves.bridge[place], (is_first, ~is_first), strict=True)
        ]
        most_pairs = int(halves.rows[place].prod())
        evidence: dict[str, float | int | str | None] = {
            "best five across": round(float(halves.best[place]), 4),
            "cosine of the halves": round(float(halves.cosine[place]), 4),
            "share of pairs across": round(float(halves.num_pairs[place]) / most_pairs, 4),
            "share of doubtful rows": round(float(np.mean(opened.margin[rows] < DOUBTFUL)), 4),
            "rows": f"{halves.rows[place, 0]:,} and {halves.rows[place, 1]:,}",
        }
        own = opened.published(cluster)
        items.append(QueueItem(number, "split", own, own, sides[0], sides[1], evidence, float(likely[number])))
    return items
