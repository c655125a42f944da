"""Connected components of an edge list."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from raycluster.arrays import Int32, Int64


def components(source: Int32, target: Int32, rows: int) -> Int64:
    """The component (N,) of each of `rows` nodes, numbers from 0 without a gap; edges (E,) have no direction."""
    graph = coo_array((np.ones(len(source), bool), (source, target)), shape=(rows, rows))
    found: Int64 = connected_components(graph, directed=False)[1].astype(np.int64)
    return found
