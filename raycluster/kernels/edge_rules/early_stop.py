"""Rule `early-stop`: FC-ES's walk on NEP, then recall by a learned score.

A row's neighbors are walked in the order of similarity until the first NEP below theta. FC-ESER and S1 recall pairs after that
stop by a learned score. Edges are directed, from the row that walks.

Shapes: R rows of a shard; K neighbors per row, the row itself at rank 0; E edges.
"""

import numpy as np

from raycluster.arrays import Bool, Float32, Int32
from raycluster.kernels.edge_rules.columns import Columns, edge_columns


def walked(neighbor: Int32, nep: Float32, theta: float) -> Bool:
    """Return which ranks come before a row's first NEP below `theta`.

    Parameters
    ----------
    neighbor, nep : int32 and float32 (R, K)
        The neighbors of the rows and their NEP.
    theta : float
        NEP below which a walk ends, 0..1. Raising it walks fewer ranks.

    Returns
    -------
    bool (R, K)
        False at the row itself and at ranks without a neighbor.
    """
    above = (nep[:, 1:] >= np.float32(theta)) & (neighbor[:, 1:] >= 0)
    return np.pad(np.logical_and.accumulate(above, axis=1), ((0, 0), (1, 0)))


def recallable(neighbor: Int32, nep: Float32, theta: float, floor: float) -> Bool:
    """Return which ranks a predictor scores after the walk (FC-ESER, S1).

    Parameters
    ----------
    neighbor, nep : int32 and float32 (R, K)
        The neighbors of the rows and their NEP.
    theta : float
        NEP at which the walk ended. The rank that ended it can be recalled.
    floor : float
        Lowest NEP of a scored pair. Raising it scores fewer pairs.

    Returns
    -------
    bool (R, K)
        False at the row itself, at ranks without a neighbor and at walked ranks.
    """
    beyond = ~walked(neighbor, nep, theta) & (neighbor >= 0) & (nep >= np.float32(floor))
    beyond[:, 0] = False
    return beyond


def early_stop_edges(
    start: int, neighbor: Int32, similarity: Float32, nep: Float32, theta: float, score: Float32 | None, eta: float
) -> Columns:
    """Return the directed edges of a shard: walked, or recalled by their score.

    Parameters
    ----------
    start : int
        Number of the shard's first row.
    neighbor, similarity, nep : int32 and float32 (R, K)
        The neighbors of the shard's rows, nearest first, with their similarity and NEP.
    theta : float
        NEP below which a walk ends. Raising it keeps fewer edges.
    score : float32 (R, K) or None
        Learned scores, NaN where a pair was not scored. None without a predictor.
    eta : float
        Lowest score of a recalled edge. Raising it recalls fewer.

    Returns
    -------
    Columns (E,)
        In the order of rows and ranks. A walked edge weighs its NEP and has no score; a recalled one weighs its score.
    """
    weight = nep.copy()
    kept = walked(neighbor, nep, theta)
    edge_score = np.full_like(nep, np.nan)
    if score is not None:
        # A walked edge keeps its NEP as weight, whatever its score.
        recalled = ~kept & (score >= np.float32(eta))
        weight[recalled] = edge_score[recalled] = score[recalled]
        kept |= recalled
    row, rank = np.nonzero(kept)
    at = (row, rank)
    return edge_columns(
        (row + start).astype(np.int32), neighbor[at], weight[at], similarity[at], nep=nep[at], score=edge_score[at]
    )
