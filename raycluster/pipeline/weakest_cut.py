"""Where a graph hangs together least.

Shapes: M nodes, links (M, M).
"""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import ArpackError, eigsh

from raycluster.arrays import Bool


def conductance(links: csr_array) -> float | None:
    """Return the lowest conductance of the cuts along the second eigenvector.

    Links are symmetric, (M, M).
    """
    cut = weakest_cut(links)
    return None if cut is None else cut[0]


def weakest_cut(links: csr_array) -> tuple[float, Bool] | None:
    """Return the lowest conductance of a cut, and which rows (M,) are of one half.

    The cuts are those along the second eigenvector of symmetric links (M, M). None where a row has no link, or the
    eigenvector is not found.
    """
    degree = np.asarray(links.sum(axis=1)).ravel()
    if (degree <= 0).any():
        return None
    scale = 1 / np.sqrt(degree)
    normal = csr_array(links.multiply(scale[:, None]).multiply(scale[None, :]))
    try:
        _, vectors = eigsh(normal, k=2, which="LA", v0=np.sqrt(degree), tol=1e-3, maxiter=1000)
    except ArpackError:
        return None
    order = np.argsort(vectors[:, 0] * scale, kind="stable")
    moved = csr_array(links[order][:, order])
    row = np.repeat(np.arange(len(order)), np.diff(moved.indptr))
    # a link crosses the cuts between its two ends: +1 where it opens, -1 where it closes, once per direction
    opens = np.bincount(np.minimum(row, moved.indices), moved.data, len(order) + 1) / 2
    closes = np.bincount(np.maximum(row, moved.indices), moved.data, len(order) + 1) / 2
    crossing = np.cumsum(opens - closes)[: len(order) - 1]
    volume = np.cumsum(degree[order])[: len(order) - 1]
    of_cuts = crossing / np.minimum(volume, degree.sum() - volume)
    is_first = np.zeros(len(order), bool)
    is_first[order[: int(of_cuts.argmin()) + 1]] = True
    return float(of_cuts.min()), is_first
