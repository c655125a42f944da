"""Which candidates of review queues are right, by true identities (N,)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from raycluster.arrays import Bool, Int64, Ints
from raycluster.review.decided import Decided
from raycluster.review.duplicate_queue import Copies, near_copies
from raycluster.review.merge_queue import Merges, merges
from raycluster.review.opened import Opened
from raycluster.review.queue_tables import Kind
from raycluster.review.row_queue import Doubts, doubts
from raycluster.review.split_queue import Splits, splits

Candidates = Merges | Splits | Doubts | Copies
CANDIDATES: dict[Kind, Callable[[Opened, Decided], Any]] = {
    "merge": merges,
    "split": splits,
    "row": doubts,
    "duplicate": near_copies,
}


def undecided() -> Decided:
    """Return no decisions."""
    rows = np.empty(0, np.int32)
    return Decided(rows, rows, np.empty(0, bool))


def majority(truth: Int64, group: Ints) -> Int64:
    """Return the identity with the most rows of each group (G,), ties to the lowest; -1 for empty groups.

    Rows whose group is below 0 do not count.
    """
    rows = np.flatnonzero(group >= 0)
    width = int(truth.max()) + 1
    key, count = np.unique(group[rows].astype(np.int64) * width + truth[rows], return_counts=True)
    order = np.lexsort((key % width, -count, key // width))
    names, first = np.unique((key // width)[order], return_index=True)
    result = np.full(int(group.max()) + 1, -1, np.int64)
    result[names] = (key % width)[order][first]
    return result


def is_right(found: Candidates, opened: Opened, truth: Int64) -> Bool:
    """Return which candidates (M,) point at a mistake of the clustering."""
    if isinstance(found, Merges):
        own = majority(truth, opened.cluster)
        return np.asarray(own[found.one] == own[found.other])
    if isinstance(found, Splits):
        own = majority(truth, 2 * opened.cluster.astype(np.int64) + ~found.halves.is_first)
        clusters = found.halves.cluster[found.place]
        return np.asarray(own[2 * clusters] != own[2 * clusters + 1])
    if isinstance(found, Doubts):
        return np.asarray(truth[found.row] != majority(truth, opened.cluster)[opened.cluster[found.row]])
    return np.asarray(truth[found.one] == truth[found.other])
