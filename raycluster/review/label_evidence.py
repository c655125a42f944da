"""What clusters and neighbor lists have to do with the labels of a set.

Shapes: N rows, L labels, G groups: the rows of one label in one cluster.
"""

from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Float64, Int32, Int64
from raycluster.limits.in_force import EdgeLimits
from raycluster.review.between import Between
from raycluster.review.calibration import Features
from raycluster.review.pairs import Pairs, beyond_limit

STRONGEST = 3
"""Pairs of a row with a label whose mean is read. With more, labels of few rows count as strangers to their own."""


@dataclass(frozen=True)
class Groups:
    """Rows of one label in one cluster, by cluster, the most rows first."""

    row: Int64
    """(N,) group of each row, -1 without a label."""
    cluster: Int64
    """(G,)"""
    label: Int64
    """(G,)"""
    size: Int64
    """(G,)"""
    first: Int64
    """(G,) the largest group of the same cluster."""
    second: Int64
    """(G,) the next largest group of the same cluster, -1 where there is none."""
    home: Int64
    """(G,) the largest group of the same label."""
    label_size: Int64
    """(G,) rows of the label."""

    @classmethod
    def of(cls, label: Int64, cluster: Int32) -> "Groups":
        """Return the groups of labels (N,), -1 where there is none, and clusters (N,)."""
        rows = np.flatnonzero(label >= 0)
        width = int(label.max(initial=-1)) + 1
        key, inverse, size = np.unique(
            cluster[rows].astype(np.int64) * width + label[rows], return_inverse=True, return_counts=True
        )
        order = np.lexsort((key % width, -size, key // width))
        place = np.empty(len(key), np.int64)
        place[order] = np.arange(len(key))
        of_cluster, of_label, size = (key // width)[order], (key % width)[order], size[order].astype(np.int64)
        begin = np.flatnonzero(np.diff(of_cluster, prepend=-1))
        count = np.diff(begin, append=len(key))
        second = np.where(count > 1, begin + 1, -1)
        by_label = np.lexsort((np.arange(len(key)), -size, of_label))
        home = by_label[np.searchsorted(of_label[by_label], np.arange(width))]
        row = np.full(len(label), -1, np.int64)
        row[rows] = place[inverse]
        sums = np.bincount(of_label, size, width).astype(np.int64)
        return cls(
            row, of_cluster, of_label, size, np.repeat(begin, count), np.repeat(second, count), home[of_label],
            sums[of_label],
        )  # fmt: skip


@dataclass(frozen=True)
class Support:
    """How near each row is to the rows of labels."""

    own: Float64
    """(N,) mean value of the strongest pairs with others of its own label."""
    rival: Float64
    """(N,) the same of the other label for which it is highest."""
    rival_label: Int64
    """(N,) that label, -1 where no list names one."""


def supported(label: Int64, pairs: Pairs) -> Support:
    """Return the support of labels (N,); rows without a label lend none."""
    row, neighbor, value = pairs.at_both_ends()
    kept = (label[row] >= 0) & (label[neighbor] >= 0)
    row, named, strength = row[kept], label[neighbor[kept]], value[kept].astype(np.float64)
    order = np.lexsort((-strength, named, row))
    row, named, strength = row[order], named[order], strength[order]
    begin = np.flatnonzero((np.diff(row, prepend=-1) != 0) | (np.diff(named, prepend=-1) != 0))
    rank = np.arange(len(row)) - np.repeat(begin, np.diff(begin, append=len(row)))
    total = np.add.reduceat(np.where(rank < STRONGEST, strength, 0.0), begin) if len(begin) else np.empty(0)
    row, named = row[begin], named[begin]
    size = np.bincount(label[label >= 0], minlength=int(label.max(initial=-1)) + 1)
    is_own = label[row] == named
    mean = total / np.minimum(np.maximum(size[named] - is_own, 1), STRONGEST)
    own, rival, rival_label = np.zeros(len(label)), np.zeros(len(label)), np.full(len(label), -1, np.int64)
    own[row[is_own]] = mean[is_own]
    row, named, mean = row[~is_own], named[~is_own], mean[~is_own]
    order = np.lexsort((named, -mean, row))
    best = order[np.unique(row[order], return_index=True)[1]]
    rival[row[best]], rival_label[row[best]] = mean[best], named[best]
    return Support(own, rival, rival_label)


def row_features(groups: Groups, support: Support, limits: EdgeLimits) -> tuple[Features, Int64]:
    """Return the features of labelled rows (M,), and the labels to suggest.

    A suggestion is -1 where there is none.

    Parameters
    ----------
    groups : Groups
        Labels in clusters.
    support : Support
        Labels in neighbor lists.
    limits : EdgeLimits
        The limits of the run.
    """
    rows = np.flatnonzero(groups.row >= 0)
    own = groups.row[rows]
    rival = np.where(groups.first[own] == own, groups.second[own], groups.first[own])
    rival_rows = np.where(rival >= 0, groups.size[rival], 0)
    suggested = np.where(rival >= 0, groups.label[rival], support.rival_label[rows])
    in_cluster = np.bincount(groups.cluster, groups.size)[groups.cluster[own]]
    beside, others = groups.size[own] - 1, groups.label_size[own] - 1
    peers, has_others = np.maximum(in_cluster - 1, 1), others > 0
    is_away = has_others & (beside == 0)
    features = {
        "own": beyond_limit(support.own[rows], limits) * has_others,
        "rival": beyond_limit(support.rival[rows], limits),
        "own_share": beside / peers,
        "rival_share": rival_rows / peers,
        "own_rows": np.log1p(beside),
        "rival_rows": np.log1p(rival_rows),
        "has_others": has_others.astype(np.float64),
        "home_share": beside / np.maximum(others, 1),
        "is_alone": (in_cluster == 1).astype(np.float64),
        "label_rows": np.log1p(others),
        "is_away": is_away.astype(np.float64),
        "is_away_unsupported": (is_away & (support.own[rows] <= 0)).astype(np.float64),
    }
    return features, suggested


def disagreements(groups: Groups, count: int) -> Features:
    """Return how far clusters and labels disagree, for `count` candidates.

    These are log odds of two shares of rows, the same for all candidates. `mixed` rows have another label than most of their
    cluster; clusters that mix identities raise it. `scattered` rows lie elsewhere than most of their label; identities in
    several clusters raise it.
    """
    total, number = groups.size.sum(), np.arange(len(groups.size))
    rows = {"mixed": groups.size[groups.first != number].sum(), "scattered": groups.size[groups.home != number].sum()}
    return {name: np.full(count, np.log((rows[name] + 1) / (total - rows[name] + 1))) for name in rows}


def leads(groups: Groups, support: Support, limits: EdgeLimits) -> Float64:
    """Return by how much groups (G,) are nearer to their own label than to others.

    Parameters
    ----------
    groups : Groups
        Labels in clusters.
    support : Support
        Labels in neighbor lists.
    limits : EdgeLimits
        The limits of the run.
    """
    rows = np.flatnonzero(groups.row >= 0)
    lead = beyond_limit(support.own[rows], limits) - beyond_limit(support.rival[rows], limits)
    return np.asarray(np.bincount(groups.row[rows], lead, len(groups.size)) / groups.size)


def group_features(
    groups: Groups, one: Int64, other: Int64, between: Between, lead: Float64, limits: EdgeLimits
) -> Features:
    """Return the features (M,) of pairs of groups.

    Parameters
    ----------
    groups : Groups
        Labels in clusters.
    one, other : (M,) int64
        The smaller group and the larger.
    between : Between
        Of these groups.
    lead : (G,) float64
        `leads` of the groups.
    limits : EdgeLimits
        The limits of the run.
    """
    return {
        "best": beyond_limit(between.best_of(one, other), limits),
        "lead": lead[one],
        "rows": np.log(groups.size[one]),
        "share": groups.size[one] / groups.label_size[one],
        "other_share": groups.size[other] / groups.label_size[other],
    }
