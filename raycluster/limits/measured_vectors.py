"""Unit rows with what was measured of them before.

A limit is picked then without reading them all again.
"""

from collections.abc import Callable
from typing import Any

from raycluster.arrays import Vectors


class MeasuredVectors:
    """Unit rows (N, D) whose random pairs were measured before.

    They are indexed as the rows are.

    Parameters
    ----------
    rows
        The unit rows.
    pairs
        Returns their random pairs, `random_pairs.RandomPairs`.
    """

    def __init__(self, rows: Vectors, pairs: Callable[[], Any]) -> None:
        self.rows, self.pairs = rows, pairs

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> Vectors:
        return self.rows[rows]
