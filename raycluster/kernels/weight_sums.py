"""Each row's edge weight inside its cluster and beyond it.

The cluster beyond that has most of it is the row's runner-up.
An edge counts at both of its ends. Weights add up in float64, those of edges that start at the row before those that end
there, each in edge order. A negative weight counts as none. Memory grows with the rows and with the edges between clusters.
"""

import numpy as np

from raycluster.arrays import Bool, Float32, Float64, Int32, Int64
from raycluster.kernels import numba


def weight_sums(cluster: Int32, source: Int32, target: Int32, weight: Float32) -> tuple[Float64, Float64, Bool]:
    """Return each row's edge weight inside its cluster and beyond it.

    Which edges leave clusters comes with it.

    Parameters
    ----------
    cluster : int32 (N,)
        Cluster of every row.
    source, target : int32 (E,)
        Rows that an edge links, 0..N-1.
    weight : float32 (E,)

    Returns
    -------
    inner, outer : float64 (N,)
    is_outer : bool (E,)
    """
    (inner, outer), is_outer = _weight_sums(cluster, source, target, weight)
    return inner.sum(axis=0), outer.sum(axis=0), is_outer


def runner_ups(cluster: Int32, source: Int32, target: Int32, weight: Float32, is_outer: Bool) -> tuple[Int64, Float64]:
    """Return the other cluster with most of each row's edge weight, and that weight.

    Ties go to the lowest cluster.

    Parameters
    ----------
    cluster, source, target, weight
        As `weight_sums` takes them.
    is_outer : bool (E,)
        As `weight_sums` returns it.

    Returns
    -------
    runner_up : int64 (N,)
        -1 where no weight leaves the row's cluster.
    best : float64 (N,)
    """
    return _runner_ups(cluster, source, target, weight, is_outer)


@numba.njit(nogil=True, cache=True)
def _weight_sums(cluster, source, target, weight):  # type: ignore[no-untyped-def]
    """Return sums (2, 2, N), inside and beyond, at sources and at targets.

    Which edges leave clusters comes with them.
    """
    sums = np.zeros((2, 2, len(cluster)))
    is_outer = np.empty(len(source), np.bool_)
    for edge in range(len(source)):
        first, second = source[edge], target[edge]
        is_outer[edge] = cluster[first] != cluster[second]
        place = 1 if is_outer[edge] else 0
        value = np.float64(max(weight[edge], 0))
        sums[place, 0, first] += value
        sums[place, 1, second] += value
    return sums, is_outer


@numba.njit(nogil=True, cache=True)
def _runner_ups(cluster, source, target, weight, is_outer):  # type: ignore[no-untyped-def]
    """Return the runner-up (N,) of every row and its weight (N,)."""
    start, other, value = _outer_by_row(cluster, source, target, weight, is_outer)
    runner_up, best = np.full(len(cluster), -1, np.int64), np.zeros(len(cluster))
    for row in range(len(cluster)):
        clusters, values = other[start[row] : start[row + 1]], value[start[row] : start[row + 1]]
        order = np.argsort(clusters, kind="mergesort")  # stable: weights of a cluster stay in edge order
        total = 0.0
        for place, edge in enumerate(order):
            total += values[edge]
            is_last = place + 1 == len(order) or clusters[order[place + 1]] != clusters[edge]
            if is_last and total > best[row]:
                runner_up[row], best[row] = clusters[edge], total
            if is_last:
                total = 0.0
    return runner_up, best


@numba.njit(nogil=True, cache=True)
def _outer_by_row(cluster, source, target, weight, is_outer):  # type: ignore[no-untyped-def]
    """Return the clusters that edges of each row lead to, and their weights.

    Those of row i stand from start[i] on.
    """
    start = np.zeros(len(cluster) + 1, np.int64)
    for edge in range(len(source)):
        if is_outer[edge]:
            start[source[edge] + 1] += 1
            start[target[edge] + 1] += 1
    start = np.cumsum(start)
    free, other = start[:-1].copy(), np.empty(start[-1], np.int32)
    value = np.empty(start[-1], np.float32)
    for here, there in ((source, target), (target, source)):
        for edge in range(len(source)):
            if is_outer[edge]:
                place = free[here[edge]]
                other[place], value[place] = cluster[there[edge]], max(weight[edge], 0)
                free[here[edge]] += 1
    return start, other, value
