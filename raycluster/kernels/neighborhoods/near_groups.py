"""Tight groups of rows within their clusters, as families of near copies have.

A row's neighbors of its own cluster, by distance, may part at a gap: some are near, and all others are clearly farther. Where the
near ones see the same group, the cluster has two levels. Either the groups are the identities, and the cluster is a family of
them; or the groups are bursts of copies, and the cluster is the identity. Nothing else in the vectors shows which.

Shapes: N rows of the set, S of these rows, K neighbors per row with the row itself at rank 0.
"""

import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Int64
from raycluster.kernels import numba

FEWEST = 2
"""Neighbors of a group at least: with the row itself 3. Pairs stand out by chance everywhere."""
GAP = 1.1
"""Distance of the next neighbor over that of the group's last, at least. In families of near copies 0.81 to 0.98 of the rows have
a group at 1.1, and 0.5 to 0.9 at 1.2. On other sets it is 0.6 at most."""
LEAST_MUTUAL = 0.6
"""Share of a group whose own groups hold the row, at least. Raising it to 1 lowers families by 0.1 and other sets by 0.08."""
NEAREST_DISTANCE = 1e-4
"""Distance that nearer neighbors count as, so that copies within rounding make no gap."""


def in_groups(rows: Int64, neighbor: Int32, similarity: Float32, cluster: Int32) -> Bool:
    """Return which rows (S,) lie in a tight group within their cluster.

    A group is at most half of what the row's list holds of the cluster.

    Parameters
    ----------
    rows : int64 (S,)
        The rows to test.
    neighbor, similarity : int32 and float32 (N, K)
        Lists of all rows, nearest first; -1 past the last.
    cluster : int32 (N,)
        Cluster of every row.
    """
    inside = np.zeros(len(rows), bool)
    _in_groups(rows, neighbor, similarity, cluster, inside)
    return inside


@numba.njit(nogil=True, cache=True)
def _group(row, neighbor, similarity, cluster, members):  # type: ignore[no-untyped-def]
    """Return the size of a row's group without itself, 0 without a gap.

    `members` (K,) gets the neighbors in its cluster, nearest first.
    """
    count = 0
    ranks = np.empty(neighbor.shape[1], np.int64)
    for rank in range(1, neighbor.shape[1]):
        j = neighbor[row, rank]
        if j >= 0 and cluster[j] == cluster[row]:
            members[count], ranks[count] = j, rank
            count += 1
    widest, size = GAP, 0
    # a group has FEWEST neighbors at least, and with its row at most half of the listed cluster
    for near in range(FEWEST, (count - 1) // 2 + 1):
        last = max(1.0 - np.float64(similarity[row, ranks[near - 1]]), NEAREST_DISTANCE)
        following = max(1.0 - np.float64(similarity[row, ranks[near]]), NEAREST_DISTANCE)
        # of equal gaps the first counts
        if following / last > widest:
            widest, size = following / last, near
    return size


@numba.njit(nogil=True, cache=True)
def _in_groups(rows, neighbor, similarity, cluster, inside):  # type: ignore[no-untyped-def]
    """Fill `inside` (S,)."""
    members, theirs = np.empty(neighbor.shape[1], np.int64), np.empty(neighbor.shape[1], np.int64)
    for at in range(len(rows)):
        size = _group(rows[at], neighbor, similarity, cluster, members)
        mutual = 0
        for near in range(size):
            other = _group(members[near], neighbor, similarity, cluster, theirs)
            for place in range(other):
                if theirs[place] == rows[at]:
                    mutual += 1
                    break
        inside[at] = size > 0 and mutual >= LEAST_MUTUAL * size
