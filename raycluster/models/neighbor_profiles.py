"""A row as its neighbors' lists show it: its rank there, how near they reach.

Shapes: N rows of the set, K neighbors per row with the row itself at rank 0, B rows gathered, R number of `RANKS`.
"""

import numpy as np

from raycluster.arrays import Float32, Int32, Ints
from raycluster.models.ranked_columns import RankedColumns
from raycluster.models.set_statistics import RANKS, ranks_within


class NeighborProfiles:
    """Gathers from neighbors' own lists the row's rank there, and similarities.

    Parameters
    ----------
    neighbor
        int32 (N, K) of the whole set; a memory map serves as well.
    similarity
        float32 (N, K) of the whole set, or its columns at `ranks_read`; a memory map serves as well.
    """

    def __init__(self, neighbor: Int32, similarity: Float32 | RankedColumns) -> None:
        self.neighbor, self.similarity = neighbor, similarity
        self.ranks = ranks_within(similarity, RANKS)

    def gather(self, rows: Ints, k: int) -> tuple[Int32, Float32]:
        """Gather profiles of the first `k` neighbors of `rows` (B,).

        A missing neighbor has a profile without meaning.

        Parameters
        ----------
        rows
            (B,) row numbers.
        k
            Neighbors per row, and ranks of a neighbor's list in which the row is searched.

        Returns
        -------
        return_rank
            int32 (B, k), the rank of the row among the first k of its neighbor's list, 2 k where it is not there.
        profile
            float32 (B, k, R), the similarities of each neighbor to its own neighbors at `RANKS`.
        """
        # -1, a missing neighbor, reads row 0 here; callers mask it
        ids = self.neighbor[rows, :k].clip(min=0)
        is_row = self.neighbor[ids, :k] == rows[:, None, None]
        return_rank = is_row.argmax(axis=2)
        return_rank[~is_row.any(axis=2)] = 2 * k
        return return_rank.astype(np.int32), self.similarity[ids[:, :, None], self.ranks]
