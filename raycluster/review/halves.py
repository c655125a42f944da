"""Every cluster as two halves, along its weakest cut.

Up to 400 rows it is average linkage of the values between rows, cut at its top; a pair that is not listed counts 0. Above,
communities are solved again with exits cheaper by 2 bits, then by 4. The largest piece stands against the rest.

Shapes: N rows, C clusters, H halved clusters.
"""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from raycluster.arrays import Bool, Float64, Int32, Int64
from raycluster.kernels.map_equation import local
from raycluster.kernels.map_equation.local_terms import community_flows, frozen_mu
from raycluster.review.between import Between
from raycluster.review.opened import Opened
from raycluster.review.pairs import Pairs

LARGEST_LINKED = 400
"""Rows up to which a cluster is cut by average linkage, 160,000 values at most. Larger ones take longer, by the square."""
CHEAPER = (2.0, 4.0)
"""Bits by which exits are made cheaper until a large cluster falls apart. More find weaker cuts."""


@dataclass(frozen=True)
class Halves:
    """Clusters of two rows and more that were cut in two."""

    cluster: Int64
    """(H,) ascending."""
    is_first: Bool
    """(N,) whether a row lies in the first half of its cluster."""
    best: Float64
    """(H,) mean of the best five values between the halves."""
    cosine: Float64
    """(H,) of the halves' mean vectors."""
    num_pairs: Int64
    """(H,) listed pairs between the halves."""
    rows: Int64
    """(H, 2) rows of both halves."""
    bridge: Int64
    """(H, 2) rows of the best pair."""


def halved(opened: Opened) -> Halves:
    """Cut every cluster of two rows and more."""
    pairs, cluster = opened.pairs, opened.cluster
    inside = pairs.only(cluster[pairs.one] == cluster[pairs.other])
    order = np.argsort(cluster[inside.one], kind="stable")
    begin = np.searchsorted(cluster[inside.one][order], np.arange(len(opened.cluster_id) + 1))
    rows = opened.rows[np.argsort(cluster[opened.rows], kind="stable")]
    first_row = np.searchsorted(cluster[rows], np.arange(len(opened.cluster_id) + 1))
    is_first = np.zeros(len(cluster), bool)
    large = np.flatnonzero(opened.size > LARGEST_LINKED)
    for number in np.flatnonzero((opened.size > 1) & (opened.size <= LARGEST_LINKED)).tolist():
        own = rows[first_row[number] : first_row[number + 1]]
        chosen = order[begin[number] : begin[number + 1]]
        is_first[own] = linked_half(own, inside, chosen)
    if len(large):
        _cut_large(opened, large, is_first)
    return _measured(opened, inside, is_first)


def linked_half(own: Int64, inside: Pairs, chosen: Int64) -> Bool:
    """Return which rows (R,) of one cluster lie in the half of its lowest row.

    Parameters
    ----------
    own : (R,) int64
        Rows of the cluster, ascending; at least two.
    inside : Pairs
        Pairs within clusters.
    chosen : (P,) int64
        Those of the cluster.
    """
    value = np.zeros((len(own), len(own)))
    a, b = np.searchsorted(own, inside.one[chosen]), np.searchsorted(own, inside.other[chosen])
    value[a, b] = value[b, a] = inside.value[chosen]
    np.fill_diagonal(value, 1.0)
    name = fcluster(linkage(squareform(1.0 - value, checks=False), "average"), 2, "maxclust")
    if name.max() < 2:  # all distances are equal
        name = np.where(np.arange(len(own)) == 0, 1, 2)
    return np.asarray(name == name[0])


def _cut_large(opened: Opened, large: Int64, is_first: Bool) -> None:
    """Mark the largest piece of each large cluster, or its strongest half."""
    state, cluster = opened.state, opened.cluster
    network = state.edges.network(state.num_rows)
    mu = frozen_mu(community_flows(network, cluster, len(opened.cluster_id)).enter)
    left = large
    for bits in CHEAPER:
        touched = np.flatnonzero(np.isin(cluster, left))
        if len(touched) == 0:
            return
        piece: Int32 = local.solve(network, cluster, touched, mu - bits).communities
        for number in left.tolist():
            own = np.flatnonzero(cluster == number)
            names, counts = np.unique(piece[own], return_counts=True)
            if len(names) > 1:
                is_first[own] = piece[own] == names[np.argmax(counts)]
                left = left[left != number]
    for number in left.tolist():
        own = np.flatnonzero(cluster == number)
        strength = opened.strength[own]
        is_first[own] = strength > np.nanmedian(strength)


def _measured(opened: Opened, inside: Pairs, is_first: Bool) -> Halves:
    """Measure what lies between the halves of all clusters that have two."""
    state, count = opened.state, len(opened.cluster_id)
    group = 2 * opened.cluster.astype(np.int64) + ~is_first
    group[~state.is_alive] = -1
    size = np.bincount(group[group >= 0], minlength=2 * count)
    number = np.flatnonzero((size[::2] > 0) & (size[1::2] > 0))
    between = Between.of(inside, group, size)
    best = between.best_of(2 * number, 2 * number + 1)
    place = np.full(count, -1)
    place[between.one // 2] = np.arange(len(between.one))
    listed = place[number] >= 0
    pairs, bridge = np.zeros(len(number), np.int64), np.empty((len(number), 2), np.int64)
    order = np.argsort(group, kind="stable")
    begin = np.searchsorted(group[order], np.arange(2 * count + 1))
    lowest = order[np.minimum(begin[:-1], len(order) - 1)]
    bridge[:] = np.column_stack([lowest[2 * number], lowest[2 * number + 1]])
    at = place[number[listed]]
    pairs[listed] = between.num_pairs[at]
    bridge[listed] = np.column_stack([between.row_one[at], between.row_other[at]])
    cosine = np.empty(len(number))
    for rank, half in enumerate(number.tolist()):
        sides = [state.vectors[order[begin[side] : begin[side + 1]]] for side in (2 * half, 2 * half + 1)]
        one, other = (np.asarray(vectors, np.float64).sum(axis=0) for vectors in sides)
        cosine[rank] = one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-12)
    rows = np.column_stack([size[2 * number], size[2 * number + 1]])
    return Halves(number, is_first, best, np.round(cosine, 6), pairs, rows, bridge)
