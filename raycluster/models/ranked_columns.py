"""Some columns of a table (N, K), read as the whole table is.

A network reads similarities at fourteen ranks. These take a sixth of the bytes of 80.
"""

from collections.abc import Sequence
from typing import Any

from raycluster.arrays import Array


class RankedColumns:
    """A table (N, K) of which some columns are there, indexed as the whole table is.

    Parameters
    ----------
    values
        (N, R), the columns of `ranks`; a memory map serves as well.
    ranks
        R columns of the table, in 0..K - 1.
    width
        K.
    """

    def __init__(self, values: Array, ranks: Sequence[int], width: int) -> None:
        self.values, self.ranks = values, tuple(ranks)
        self.shape = (len(values), width)
        self._position = {rank: position for position, rank in enumerate(ranks)}

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: tuple[Any, Any]) -> Any:
        """Return elements at rows and ranks.

        A slice of ranks, from the first on, gives a table with as many columns.
        """
        rows, ranks = key
        if isinstance(ranks, slice):
            stop = ranks.indices(self.shape[1])[1]
            return RankedColumns(self.values[rows], self.ranks, stop)
        if isinstance(ranks, int):
            return self.values[rows, self._position[ranks]]
        return self.values[rows, [self._position[rank] for rank in ranks]]

    def position(self, rank: int) -> int:
        """Return the column of `values` that holds a rank."""
        return self._position[rank]
