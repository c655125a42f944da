"""The columns that every edge rule fills, and the rank of a row among neighbors.

Shapes: E edges, K neighbors per row.
"""

from typing import Any

import numba
import numpy as np

from raycluster.arrays import Float32, Int32

Columns = dict[str, Any]
"""Columns (E,) of the edges table: source and target int32; weight, nep, score and similarity float32."""


def edge_columns(
    source: Int32,
    target: Int32,
    weight: Float32,
    similarity: Float32,
    nep: Float32 | None = None,
    score: Float32 | None = None,
) -> Columns:
    """Return the columns of an edges table, in order.

    Parameters
    ----------
    source, target : int32 (E,)
        The two rows of every edge.
    weight, similarity : float32 (E,)
        What the edge counts in the communities, and the similarity of its rows.
    nep, score : float32 (E,), optional
        NEP and learned score; a rule without them has NaN.
    """
    none = np.full(len(source), np.nan, np.float32)
    return {
        "source": source,
        "target": target,
        "weight": weight,
        "nep": none if nep is None else nep,
        "score": none if score is None else score,
        "similarity": similarity,
    }


@numba.njit(nogil=True, cache=True)
def rank_of(row, neighbors, length):  # type: ignore[no-untyped-def]
    """Return the rank of a row among another row's neighbors, -1 where it is missing.

    Parameters
    ----------
    row : int
        The row to find.
    neighbors : int32 (K,)
        The other row's neighbors.
    length : int
        How many of them to read, nearest first.
    """
    # All ranks are read: the compiler does so by vectors, and the processor fetches the next list meanwhile.
    own, place = np.int32(row), np.int32(length)
    for rank in range(length):
        place = min(place, np.int32(rank) if neighbors[rank] == own else np.int32(length))
    return place if place < length else -1
