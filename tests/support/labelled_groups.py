"""Small labelled sets in tests of reviews: rows in clusters, and pairs of rows by hand."""

import numpy as np

from raycluster.limits.in_force import EdgeLimits
from raycluster.review.pairs import Pairs

LIMITS = EdgeLimits(eta=0.5, valley=True)


def pairs(*listed):
    """Pairs (one, other, value), named by both rows."""
    one, other, value = (np.array(column) for column in zip(*listed, strict=True))
    both = np.concatenate([one, other]).astype(np.int32), np.concatenate([other, one]).astype(np.int32)
    return Pairs.from_directed(*both, np.concatenate([value, value]).astype(np.float32))


def full(sizes, inside=0.95):
    """Clusters (N,) of these sizes, and the pairs of all rows of one cluster."""
    cluster = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    one, other = np.triu_indices(len(cluster), 1)
    same = cluster[one] == cluster[other]
    return cluster, pairs(*((a, b, inside) for a, b in zip(one[same], other[same], strict=True)))
