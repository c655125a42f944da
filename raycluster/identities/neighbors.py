"""Neighbor lists after rows came and went.

New rows are searched. A new row enters an old row's list where its similarity is above the last one there, and high enough
to matter for an edge. That is found from the new rows' own hits and never by a scan of all rows. Rows that lost a neighbor
that mattered are searched again.

Where few rows are new, a list that is full of neighbors that matter does not change. The new row's own list has the pair, and
rows of identities larger than K would change with every batch. Strangers at the end of a list do not matter: to follow them,
nearly all lists would change with every batch.

Shapes: N rows, Q queries, K neighbors, H hits per query.
"""

from dataclasses import dataclass

import numba
import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Vectors
from raycluster.identities.state import Lists, Reading
from raycluster.kernels.search.inverted_file import InvertedFile
from raycluster.kernels.search.list_search import Probing, list_top_k
from raycluster.kernels.search.nearest import exact_top_k

HITS = 2
"""Hits of a new row, in multiples of K. A row beyond them may still list the new one, where rows are sparser than there.
Raising it finds more of these, and takes longer per new row."""


FEW = 0.05
"""New rows, as a share of the old ones, up to which full lists stay. Raising it leaves more old neighbors in lists where new
rows are nearer: communities have more links to strangers."""


@dataclass(frozen=True)
class Neighborhood:
    """Lists after a change, and the rows whose lists are others than before."""

    neighbor: Int32
    similarity: Float32
    is_changed: Bool
    """(N,)"""
    num_searched: int


def after_change(
    vectors: Vectors,
    is_alive: Bool,
    num_old: int,
    lists: Lists,
    reading: Reading | None,
    floor: float,
    threads: int,
    *,
    is_mutual: bool = True,
) -> Neighborhood:
    """Return the neighbor lists of all rows.

    Parameters
    ----------
    vectors : (N, D)
        Unit rows, new ones last.
    is_alive : (N,) bool
        Rows that are not removed.
    num_old : int
        Rows before; the others are new.
    lists : Lists
        Lists (num_old, K) before.
    reading : Reading
        Inverted lists of all N rows; none compares all rows.
    floor : float
        Lowest similarity that matters. Raising it changes fewer lists.
    threads : int
        Threads. They change no result.
    is_mutual : bool
        Whether new rows may be neighbors of each other and of old rows. Else each has the lists it would have alone.
    """
    rows, k = len(vectors), lists.neighbor.shape[1]
    neighbor, similarity = np.full((rows, k), -1, np.int32), np.full((rows, k), -1.0, np.float32)
    neighbor[:num_old], similarity[:num_old] = lists.neighbor, lists.similarity
    is_changed = np.zeros(rows, bool)
    if not is_alive[:num_old].all():
        _without(neighbor[:num_old], similarity[:num_old], is_alive, np.float32(floor), is_changed)
    is_changed[num_old:] = True
    queries = np.flatnonzero(is_changed & is_alive).astype(np.int32)
    if not is_mutual:
        is_alive = is_alive & (np.arange(rows) < num_old)
    hits, hit_similarity = hits_of(vectors, queries, is_alive, min(HITS * k, int(is_alive.sum())), reading, threads)
    width = min(k, hits.shape[1])
    neighbor[queries], similarity[queries] = -1, -1.0
    neighbor[queries, :width], similarity[queries, :width] = hits[:, :width], hit_similarity[:, :width]
    if not is_mutual:
        return Neighborhood(neighbor, similarity, is_changed, len(queries))
    new = queries >= num_old
    kept_from = np.float32(floor if rows - num_old <= FEW * num_old else np.inf)
    entered = _insert(
        neighbor, similarity, queries[new], hits[new], hit_similarity[new], num_old, np.float32(floor), kept_from
    )
    is_changed |= entered
    return Neighborhood(neighbor, similarity, is_changed, len(queries))


def hits_of(
    vectors: Vectors, queries: Int32, is_alive: Bool, count: int, reading: Reading | None, threads: int
) -> tuple[Int32, Float32]:
    """Return the nearest rows (Q, H) of some rows, and their similarities.

    Parameters
    ----------
    vectors : (N, D)
        Unit rows.
    queries : (Q,) int32
        Rows to search for; each is its own first hit.
    is_alive : (N,) bool
        Rows that can be hits.
    count : int
        Hits per row.
    reading : Reading
        Inverted lists of all N rows; none compares all rows.
    threads : int
        Threads. They change no result.
    """
    if len(queries) == 0:
        return np.empty((0, count), np.int32), np.empty((0, count), np.float32)
    if is_alive.all():
        database, live, own = vectors, None, queries
    else:
        live = np.flatnonzero(is_alive).astype(np.int32)
        place = np.minimum(np.searchsorted(live, queries), len(live) - 1)
        database, own = vectors[live], np.where(live[place] == queries, place, -1).astype(np.int32)
    if reading is None or reading.facts["exact"]:
        found, similarity = exact_top_k(vectors[queries], own, database, count, threads)
    else:
        lists = reading.lists if live is None else reading.lists[live]
        index = InvertedFile.group(reading.centroids, lists)
        probing = Probing(reading.facts["nearest"], reading.facts["margin"])
        found, similarity = list_top_k(vectors[queries], own, database, index, probing, count, threads)
    hits = found if live is None else np.where(found >= 0, live[found], -1).astype(np.int32)
    # A row that no list may name still stands at the head of its own.
    alone = np.flatnonzero(own < 0)
    hits[alone, 1:], similarity[alone, 1:] = hits[alone, :-1], similarity[alone, :-1]
    hits[alone, 0], similarity[alone, 0] = queries[alone], 1.0
    return hits, similarity


@numba.njit(nogil=True, cache=True)
def _without(neighbor, similarity, is_alive, floor, is_changed):  # type: ignore[no-untyped-def]
    """Take removed rows out of all lists; a row that loses what mattered is changed."""
    for row in range(neighbor.shape[0]):
        if neighbor[row, 0] < 0:
            continue
        if not is_alive[row]:
            neighbor[row, :], similarity[row, :] = -1, np.float32(-1)
            is_changed[row] = True
            continue
        for rank in range(neighbor.shape[1]):
            if neighbor[row, rank] >= 0 and not is_alive[neighbor[row, rank]]:
                is_changed[row] |= similarity[row, rank] >= floor
                neighbor[row, rank] = -1


@numba.njit(nogil=True, cache=True)
def _insert(neighbor, similarity, new, hits, hit_similarity, num_old, floor, kept_from):  # type: ignore[no-untyped-def]
    """Put each new row into the lists of the old rows whose last neighbor it beats."""
    entered = np.zeros(neighbor.shape[0], np.bool_)
    k = neighbor.shape[1]
    for line in range(new.shape[0]):
        for at in range(hits.shape[1]):
            row, own = hits[line, at], hit_similarity[line, at]
            if row < 0 or row >= num_old or own < floor:
                continue
            last = k - 1
            if neighbor[row, last] >= 0 and similarity[row, last] >= kept_from:
                continue
            # Of equal similarities the lower row stays first: a new row has a higher number than all that are there.
            if neighbor[row, last] >= 0 and similarity[row, last] >= own:
                continue
            if is_listed(neighbor[row], new[line]):
                continue
            put(neighbor[row], similarity[row], new[line], own)
            entered[row] = True
    return entered


@numba.njit(nogil=True, cache=True)
def is_listed(neighbor, row):  # type: ignore[no-untyped-def]
    """Return whether a list (K,) names a row."""
    is_there = False
    for other in neighbor:
        is_there = is_there or other == row
    return is_there


@numba.njit(nogil=True, cache=True)
def put(neighbor, similarity, row, own):  # type: ignore[no-untyped-def]
    """Put a row at its place in a list, after equal ones; the last entry goes.

    Parameters
    ----------
    neighbor, similarity : (K,)
        The list; changed in place.
    row : int
        The row.
    own : float
        Its similarity.
    """
    at = neighbor.shape[0] - 1
    while at > 1 and (neighbor[at - 1] < 0 or similarity[at - 1] < own):
        neighbor[at], similarity[at] = neighbor[at - 1], similarity[at - 1]
        at -= 1
    neighbor[at], similarity[at] = row, own
