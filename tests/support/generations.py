"""Clusterings that follow each other, in tests of ids."""

import numpy as np

from raycluster.identities.inheritance import NO_ID, Before


def numbered(labels):
    """Clusters 0.. in the order of their lowest row (N,) int32."""
    _, first, place = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return rank[place]


def before_of(row_id, next_id, confirmed=(), new=(), gone=()):
    """What is left of the clustering `row_id`: `new` rows follow, ids `gone` lost all their rows."""
    row_id = np.concatenate([np.asarray(row_id, np.int64), np.full(len(new), NO_ID)])
    is_new = np.arange(len(row_id)) >= len(row_id) - len(new)
    ids, sizes = np.unique(row_id[row_id >= 0], return_counts=True)
    ids, sizes = (
        np.concatenate([ids, np.array(sorted(gone), np.int64)]),
        np.concatenate([sizes, np.ones(len(gone), np.int64)]),
    )
    order = np.argsort(ids)
    return Before(row_id, is_new, ids[order], sizes[order], next_id, np.array(sorted(confirmed), np.int64))
