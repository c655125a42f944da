"""Ids that stay: each new cluster takes the id of the old one that fits best.

    R1: ids are int64 without a meaning, in the order of a cluster's lowest row, never reused.
    R2: overlaps count rows of the old clustering that are still there.
    R3: pairs of old id and new cluster in descending overlap, ties to the lower (older) id, then the lower cluster;
    each side once.
    R4: confirmed ids go first. Clusters of two confirmed ids are taken apart before (`confirmed`).
    R5: rows that are alone have an id only where callers want it.
    R6: retired ids resolve to their heirs for ever (`lineage.resolved`).
    R8: a retired id comes back where a cluster has exactly its rows again, and no row changes its id for that.

Shapes: N rows of today, C clusters numbered by their lowest row, I old ids.
"""

from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Bool, Int32, Int64
from raycluster.kernels import numba

NO_ID = -1
"""In place of an id: the row is new, or was alone."""


@dataclass(frozen=True)
class Before:
    """The clustering before, seen from the rows of today."""

    row_id: Int64
    """(N,) id that each row had; `NO_ID` for new rows and for those that had none."""
    is_new: Bool
    """(N,) rows that were not there."""
    ids: Int64
    """(I,) all ids in use before, ascending, those whose rows are all gone included."""
    sizes: Int64
    """(I,) rows of each, before."""
    next_id: int
    """The lowest id that has never been used."""
    confirmed: Int64
    """Ids of `ids` that a person has confirmed, ascending."""

    @classmethod
    def nothing(cls, num_rows: int) -> "Before":
        """No clustering before: all rows are new."""
        none = np.empty(0, np.int64)
        return cls(np.full(num_rows, NO_ID), np.ones(num_rows, bool), none, none, 0, none)


@dataclass(frozen=True)
class Former:
    """Rows (R,) that retired ids had when they were retired."""

    row: Int32
    """Row number today."""
    id: Int64

    @classmethod
    def nothing(cls) -> "Former":
        """No retired ids."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int64))


@dataclass(frozen=True)
class Overlaps:
    """Rows that old ids and new clusters share, one entry (P,) per pair."""

    id: Int64
    cluster: Int32
    rows: Int64


@dataclass(frozen=True)
class Inheritance:
    """Ids of the new clusters, and what became of the old ones."""

    ids: Int64
    """(C,) id of each cluster, `NO_ID` for rows that are alone."""
    next_id: int
    retired: Int64
    """Old ids that no cluster has any more, ascending."""
    heir: Int64
    """The id that holds most rows of each retired one; `NO_ID` where none does."""
    restored: Int64
    """Formerly retired ids that are back, ascending."""
    created: Int64
    """Ids that are new, ascending."""

    def of_rows(self, cluster: Int32) -> Int64:
        """Return the id (N,) of each row."""
        return self.ids[cluster]


def overlaps(row_id: Int64, cluster: Int32) -> Overlaps:
    """Return the rows that ids (N,) and clusters (N,) share, by id and cluster."""
    has = np.flatnonzero(row_id >= 0)
    names, place = np.unique(row_id[has], return_inverse=True)
    count = int(cluster.max(initial=-1)) + 1
    pairs, rows = np.unique(place.astype(np.int64) * count + cluster[has], return_counts=True)
    return Overlaps(names[pairs // max(count, 1)], (pairs % max(count, 1)).astype(np.int32), rows)


def inherit(before: Before, cluster: Int32, former: Former | None = None, with_singletons: bool = False) -> Inheritance:
    """Return the ids of new clusters.

    Parameters
    ----------
    before : Before
        Ids that rows had.
    cluster : (N,) int32
        New clusters 0..C-1, in the order of their lowest row.
    former : Former
        Rows of retired ids that may come back; none means that none may.
    with_singletons : bool
        Whether rows that are alone get ids, too.
    """
    size = np.bincount(cluster)
    may_have = (size > 1) | with_singletons
    shared = overlaps(before.row_id, cluster)
    ids = np.full(len(size), NO_ID)
    rank = np.lexsort((shared.cluster, shared.id, -shared.rows, ~np.isin(shared.id, before.confirmed)))
    rank = rank[may_have[shared.cluster[rank]]]
    place = np.searchsorted(before.ids, shared.id).astype(np.int64)
    _assign(rank, place, shared.id, shared.cluster, np.zeros(len(before.ids), bool), ids)
    restored = np.empty(0, np.int64)
    if former is not None and len(former.id):
        restored = _restore(*_returning(before, cluster, former, may_have), shared, may_have, ids)
    fresh = np.flatnonzero(may_have & (ids == NO_ID))
    ids[fresh] = before.next_id + np.arange(len(fresh))
    retired = np.setdiff1d(before.ids, ids)
    heir = _heirs(shared, ids, retired)
    return Inheritance(ids, before.next_id + len(fresh), retired, heir, np.sort(restored), ids[fresh])


@numba.njit(nogil=True, cache=True)
def _assign(rank, place, old_id, cluster, taken, ids):  # type: ignore[no-untyped-def]
    """Give each cluster the first id in `rank` that is still free, each side once."""
    for at in rank:
        if ids[cluster[at]] == -1 and not taken[place[at]]:
            ids[cluster[at]] = old_id[at]
            taken[place[at]] = True


def _returning(before: Before, cluster: Int32, former: Former, may_have: Bool) -> tuple[Int64, Int64]:
    """Clusters, ascending, that have exactly the rows of a retired id, and these ids."""
    kept = ~np.isin(former.id, before.ids)
    row, name = former.row[kept], former.id[kept]
    names, place = np.unique(name, return_inverse=True)
    lowest, highest = np.full(len(names), len(may_have), np.int64), np.full(len(names), -1, np.int64)
    np.minimum.at(lowest, place, cluster[row])
    np.maximum.at(highest, place, cluster[row])
    surviving = np.bincount(cluster[~before.is_new], minlength=len(may_have))
    one = np.flatnonzero(lowest == highest)
    one = one[(surviving[lowest[one]] == np.bincount(place, minlength=len(names))[one]) & may_have[lowest[one]]]
    # Of several ids with these rows the oldest comes back.
    back, first = np.unique(lowest[one], return_index=True)
    return back, names[one[first]]


def _restore(back: Int64, names: Int64, shared: Overlaps, may_have: Bool, ids: Int64) -> Int64:
    """Give clusters their retired ids back where that moves no row; returns these ids.

    A cluster without an id takes its own back. One with an id gives it away where another without an id has as many of its rows.
    """
    free = ids[back] == NO_ID
    ids[back[free]] = names[free]
    restored = [names[free]]
    for own, name in zip(back[~free].tolist(), names[~free].tolist(), strict=True):
        pairs = slice(*np.searchsorted(shared.id, [ids[own], ids[own] + 1]))
        clusters, rows = shared.cluster[pairs], shared.rows[pairs]
        heirs = clusters[(rows == rows[clusters == own]) & may_have[clusters] & (ids[clusters] == NO_ID)]
        if len(heirs):
            ids[heirs[0]], ids[own] = ids[own], name
            restored.append(np.array([name]))
    return np.concatenate(restored)


def _heirs(shared: Overlaps, ids: Int64, retired: Int64) -> Int64:
    """The id with most rows of each retired id, ties to the lower id.

    `NO_ID` where all its rows are gone or alone.
    """
    heir = np.full(len(retired), NO_ID)
    at = np.flatnonzero(np.isin(shared.id, retired) & (ids[shared.cluster] != NO_ID))
    at = at[np.lexsort((ids[shared.cluster[at]], -shared.rows[at], shared.id[at]))]
    name, first = np.unique(shared.id[at], return_index=True)
    heir[np.searchsorted(retired, name)] = ids[shared.cluster[at[first]]]
    return heir
