"""Connected components of an edge list.

Shapes: N rows, E edges.
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from raycluster.arrays import Int32, Int64


def components(source: Int32, target: Int32, rows: int) -> Int64:
    """Return the component (N,) of each row, numbers from 0 without a gap.

    Parameters
    ----------
    source, target : int32 (E,)
        The ends of the edges, which have no direction.
    rows : int
        Number of rows N.
    """
    graph = coo_array((np.ones(len(source), bool), (source, target)), shape=(rows, rows))
    component: Int64 = connected_components(graph, directed=False)[1].astype(np.int64)
    return component
