"""cleanlab on the neighbors of a set: which labels it finds wrong."""

from typing import Any

import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Int64

FILTERS = ("prune_by_noise_rate", "confident_learning", "low_normalized_margin")
"""Filters of `find_label_issues`, its default first."""


def flagged(neighbor: Int32, similarity: Float32, label: Int64, k: int) -> dict[str, Bool]:
    """Return which rows (N,) each filter of cleanlab finds wrong.

    Probabilities are those of a kNN classifier without the row itself, weighted by similarity.

    Parameters
    ----------
    neighbor, similarity : (N, K)
        Neighbor lists, the row itself first.
    label : (N,) int64
        Labels.
    k : int
        Neighbors that vote.
    """
    from cleanlab.filter import find_label_issues

    classes, code = np.unique(label, return_inverse=True)
    votes = np.zeros((len(label), len(classes)), np.float32)
    near, weight = neighbor[:, 1 : k + 1], np.maximum(similarity[:, 1 : k + 1], 1e-6)
    np.add.at(votes, (np.arange(len(label))[:, None], code[near]), weight)
    votes /= votes.sum(axis=1, keepdims=True)
    found: dict[str, Any] = {
        name: np.asarray(find_label_issues(code, votes, filter_by=name, n_jobs=1)) for name in FILTERS
    }
    return found
