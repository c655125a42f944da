"""Rows of a side that are shown: its end of the bridge, then its strongest."""

import numpy as np

from raycluster.arrays import Bool, Int64, Ints
from raycluster.review.opened import Opened
from raycluster.review.queue_tables import MOST_SHOWN


class Members:
    """Rows of every cluster, the strongest first; ties go to the lowest row."""

    def __init__(self, opened: Opened) -> None:
        rows = opened.rows
        strength = np.nan_to_num(opened.strength[rows], nan=-1.0)
        self._row = rows[np.lexsort((rows, -strength, opened.cluster[rows]))]
        self._begin = np.searchsorted(opened.cluster[self._row], np.arange(len(opened.cluster_id) + 1))

    def of(self, cluster: int) -> Int64:
        """Return the rows of a cluster, the strongest first."""
        return self._row[self._begin[cluster] : self._begin[cluster + 1]]


def side(bridge: int, rows: Ints, chosen: Bool | None = None) -> list[int]:
    """Return the rows to show.

    Parameters
    ----------
    bridge : int
        The row that comes first.
    rows : (R,) integers
        Rows of the side, the strongest first.
    chosen : (R,) bool, optional
        Which of them belong to the side; none means all.
    """
    own = rows if chosen is None else rows[chosen]
    return [bridge, *own[own != bridge].tolist()][:MOST_SHOWN]
