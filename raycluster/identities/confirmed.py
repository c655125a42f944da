"""Confirmed identities never merge by themselves.

Their clusters are taken apart, and the merge becomes a suggestion.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Int32, Int64
from raycluster.identities.inheritance import Before, overlaps
from raycluster.identities.ties import Ties
from raycluster.kernels.map_equation.aggregate import numbered


@dataclass(frozen=True)
class Suggestions:
    """Merges (S,) of confirmed identities that the solve wanted."""

    into: Int64
    """The id with more rows in the common cluster."""
    other: Int64
    """The id that stays apart."""
    rows: Int64
    """Rows of `other` there."""


def kept_apart(before: Before, cluster: Int32, ties: Ties | None = None) -> tuple[Int32, Suggestions]:
    """Return clusters in which no two confirmed ids are one, and the merges left out.

    The main cluster of an id holds most of its rows. Two confirmed ids with one main cluster would merge: the rows of the
    smaller one leave it together. Single rows of a confirmed id that go elsewhere are moves, and stay.

    Parameters
    ----------
    before : Before
        Ids that rows had.
    cluster : (N,) int32
        New clusters, in the order of their lowest row.
    ties : Ties
        Rows that a person has made one. Ids with rows of one node do merge.
    """
    has = np.isin(before.row_id, before.confirmed)
    shared = overlaps(np.where(has, before.row_id, -1), cluster)
    order = np.lexsort((shared.cluster, -shared.rows, shared.id))
    main = order[np.unique(shared.id[order], return_index=True)[1]]
    main = main[np.lexsort((shared.id[main], -shared.rows[main], shared.cluster[main]))]
    result, count, found = cluster.copy(), int(cluster.max(initial=-1)) + 1, []
    bounds = np.flatnonzero(np.diff(shared.cluster[main], prepend=-1, append=-1))
    for begin, end in itertools.pairwise(bounds):
        stays = [int(shared.id[main[begin]])]
        for at in main[begin + 1 : end]:
            name = int(shared.id[at])
            if _is_tied(before, stays, name, ties):
                stays.append(name)
                continue
            result[(before.row_id == name) & (cluster == shared.cluster[at])] = count
            count += 1
            found.append((stays[0], name, int(shared.rows[at])))
    numbered(result)
    columns = np.array(found, np.int64).reshape(-1, 3).T
    return result, Suggestions(*columns)


def _is_tied(before: Before, stays: list[int], name: int, ties: Ties | None) -> bool:
    """Whether a person has tied a row of the id `name` to one of an id that stays."""
    if ties is None:
        return False
    one, other = (np.flatnonzero(np.isin(before.row_id, names)) for names in ([name], stays))
    return bool(np.isin(ties.of(one), ties.of(other)).any())
