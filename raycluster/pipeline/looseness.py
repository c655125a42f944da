"""How loosely clusters hang together at a threshold of similarity.

Clusters of right identities have few pairs below their threshold, and few about it. Chains of neighbors, which join many
identities, have many. Scores have signs of their own (`raycluster.pipeline.health`).

Shapes: R rows, K neighbors per row with the row itself at rank 0.
"""

from typing import NamedTuple

from raycluster.arrays import Bool, Float32

WAY = 0.1
"""Half width of the band about a threshold, as a share of the way to it from random pairs. Not tuned."""


class Looseness(NamedTuple):
    """Two shares of listed pairs."""

    loose: float
    """Of the pairs within clusters, those below the threshold."""
    borderline: float | None
    """Pairs in the band about the threshold, as a share of those above it. None where random pairs were not measured."""


def looseness(near: Float32, is_listed: Bool, is_inside: Bool, threshold: float, median: float | None) -> Looseness:
    """Return how loose the clusters of some rows are.

    Parameters
    ----------
    near : float32 (R, K - 1)
        Similarities of neighbors, without the row itself.
    is_listed, is_inside : bool (R, K - 1)
        Whether there is such a neighbor, and whether it is in the cluster of its row.
    threshold : float
        Lowest similarity of an edge.
    median : float, optional
        Median similarity of random pairs.
    """
    is_above = is_listed & (near >= threshold)
    inside = is_listed & is_inside
    loose = int((inside & ~is_above).sum()) / max(int(inside.sum()), 1)
    if median is None:
        return Looseness(loose, None)
    band = WAY * (threshold - median)
    is_borderline = is_listed & (abs(near - threshold) < band)
    return Looseness(loose, int(is_borderline.sum()) / max(int(is_above.sum()), 1))
