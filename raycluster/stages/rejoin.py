"""communities -> communities: identities larger than K, found again in the pieces that their neighbor lists leave them in.

The K nearest of a row all lie in its own mode (age, pose, topic) where that has more than K rows, so that hardly an edge joins
the modes of one identity. Lists that name their own community alone say nothing of others. A few rows of every such community,
taken as a set of its own, do: there lists reach across modes, and the same recipe decides, on that set's own scale and by its
own limit. Communities most of whose rows come to lie in one cluster there are one.
"""

from dataclasses import replace

import numba
import numpy as np
import numpy.typing as npt

from raycluster.arrays import Int32, Int64, Vectors
from raycluster.config.stages import Config

INSIDE = 0.8
"""Mean share of a community's listed neighbors that are its own, from which it is taken for a possible fragment. Lowering it
takes in communities whose lists have been judged already, and merges look-alikes."""
LISTS = 4
"""K over the rows taken of a community. Fewer rows have fewer of other modes in their lists."""
LEAST = 5
"""Least size of the sample, in lists: one that is hardly longer than a list has no strangers to be read against."""


def merged(community: Int32, neighbor: Int32, vectors: Vectors, config: Config, threads: int) -> Int32:
    """Communities (N,), fragments of one identity made one; each keeps the number of its first.

    community (N,) dense from 0, neighbor (N, K) with -1 where there is none, vectors (N, D) unit. Rows are taken by
    `communities.seed`, whatever the shards.
    """
    from raycluster.stages import in_memory

    k = config.knn.k
    size = np.bincount(community)
    each = max(1, k // LISTS)
    possible = (size >= 2 * each) & (_inside(community, neighbor, len(size)) >= INSIDE)
    if np.count_nonzero(possible) * each < LEAST * k:
        return community
    rows = _sample(community, possible, each, config.communities.seed)
    found = in_memory.cluster(np.ascontiguousarray(vectors[rows]), _of_sample(config), threads)
    return _joined(community, community[rows], found.partition.communities)


def _of_sample(config: Config) -> Config:
    """The configuration without another second look and without what was chosen for the whole set's size."""
    searched = replace(config.knn, index="auto", lists=None, probes=None, source=None)
    return replace(config, knn=searched, communities=replace(config.communities, fragments=False))


@numba.njit(nogil=True, cache=True)
def _inside(community, neighbor, count):  # type: ignore[no-untyped-def]
    """Share (count,) of the neighbors that the rows of a community list which are its own."""
    own, listed = np.zeros(count), np.zeros(count)
    for row in range(len(neighbor)):
        for rank in range(1, neighbor.shape[1]):
            other = neighbor[row, rank]
            if other >= 0:
                listed[community[row]] += 1
                own[community[row]] += community[other] == community[row]
    return own / np.maximum(listed, 1.0)


def _sample(community: Int32, possible: npt.NDArray[np.bool_], each: int, seed: int) -> Int64:
    """`each` rows of every possible fragment, drawn at random, ascending."""
    rows = np.flatnonzero(possible[community])
    rows = rows[np.lexsort((np.random.default_rng(seed).permutation(len(rows)), community[rows]))]
    of = community[rows]
    rank = np.arange(len(rows)) - np.searchsorted(of, of)
    return np.sort(rows[rank < each])


def _joined(community: Int32, of: Int32, cluster: Int32) -> Int32:
    """Communities (N,) where those are one that have most of their sampled rows in one cluster; `of` and `cluster` (M,) are
    those rows' communities and clusters."""
    taken = np.bincount(of, minlength=community.max() + 1)
    pairs, count = np.unique(np.stack([of, cluster]), axis=1, return_counts=True)
    most = 2 * count > taken[pairs[0]]
    number = np.arange(len(taken), dtype=np.int32)
    first: dict[int, int] = {}
    for one, into in pairs[:, most].T:
        number[one] = first.setdefault(int(into), one)
    return number[community]
