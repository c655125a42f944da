"""Pairs of clusters that may be one identity.

Candidates are pairs of clusters that a neighbor list joins, and the nearest clusters by their mean vectors. They stand by the
ranks of two numbers: the mean of the best five values between them, and the cosine of their mean vectors. Beside these an item
shows the gain of the merge in the map equation per unit of flow.

Shapes: N rows, C clusters, M candidates.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raycluster.arrays import Bool, Float32, Float64, Int64
from raycluster.kernels.map_equation.flow import Flows
from raycluster.kernels.map_equation.local_terms import community_flows, frozen_mu, merge_gain
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.review.between import Between
from raycluster.review.calibration import Features, probability
from raycluster.review.decided import Decided
from raycluster.review.opened import Opened
from raycluster.review.queue_tables import QueueItem
from raycluster.review.shown import Members, side
from raycluster.review.standing import ranked, tail

NEAREST = 8
"""Clusters that are compared with each by mean vectors, beside those that neighbor lists name. More find merges further away."""
MOST_CLUSTERS = 50_000
"""Clusters up to which all mean vectors are compared, in a minute on two cores. Above it neighbor lists alone name candidates."""


@dataclass(frozen=True)
class Merges:
    """Candidates, the most likely first."""

    one: Int64
    """(M,) the lower cluster."""
    other: Int64
    """(M,)"""
    best: Float64
    cosine: Float64
    num_pairs: Int64
    """(M,) 0 where no list joins them."""
    mutual_share: Float64
    gain: Float64
    """(M,) bits per unit of flow of the smaller cluster; NaN where it has no edge."""
    bridge: Int64
    """(M, 2) rows of the best pair; the representatives where no list joins the clusters."""
    standing: Float64

    @property
    def features(self) -> Features:
        """What the probability is read from."""
        return {"standing": self.standing}


def mean_vectors(opened: Opened) -> Float32:
    """Return the mean vector (C, D) of every cluster, of unit length."""
    state, count = opened.state, len(opened.cluster_id)
    order = opened.rows[np.argsort(opened.cluster[opened.rows], kind="stable")]
    begin = np.searchsorted(opened.cluster[order], np.arange(count))
    has = opened.size > 0
    means = np.zeros((count, state.vectors.shape[1]))
    # Coordinate by coordinate, so that no copy of all vectors is made.
    for column in range(state.vectors.shape[1]):
        values = state.vectors[order, column].astype(np.float64)
        means[has, column] = np.add.reduceat(values, begin[has])
    norm = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(means / np.where(norm > 0, norm, 1), np.float32)


def merges(opened: Opened, decided: Decided) -> Merges:
    """Return the candidates of a run that no decision keeps apart."""
    between = Between.of(opened.pairs, opened.cluster, opened.size)
    means = mean_vectors(opened)
    one, other, listed = _with_near(between, means, opened)
    at = np.maximum(listed, 0)
    is_listed = listed >= 0
    best = np.where(is_listed, between.best[at], 0.0) if len(between.one) else np.zeros(len(one))
    # Rounded, so that the order does not depend on how a machine sums up.
    cosine = np.round(np.einsum("md,md->m", means[one], means[other], dtype=np.float64), 6)
    free = ~decided.parts(opened.cluster, one, other)
    standing = tail(best) + tail(cosine)
    pairs = np.where(is_listed, between.num_pairs[at], 0) if len(between.one) else np.zeros(len(one), np.int64)
    mutual = np.where(is_listed, between.num_mutual[at], 0) if len(between.one) else pairs
    members = Members(opened)
    order = ranked(standing, one, other)
    order = order[free[order]]
    bridge = np.full((len(one), 2), -1, np.int64)
    if len(between.one):
        bridge[is_listed] = np.column_stack([between.row_one, between.row_other])[listed[is_listed]]
    for place in order[~is_listed[order]].tolist():
        bridge[place] = members.of(int(one[place]))[0], members.of(int(other[place]))[0]
    share = mutual / np.maximum(pairs, 1)
    return Merges(
        one[order], other[order], best[order], cosine[order], pairs[order], share[order], gains(opened, one, other)[order],
        bridge[order], standing[order],
    )  # fmt: skip


def _with_near(between: Between, means: Float32, opened: Opened) -> tuple[Int64, Int64, Int64]:
    """Pairs of clusters (M,) by lists and mean vectors, and their place in `between`.

    The place is -1 where no list joins them.
    """
    key = between.one << 32 | between.other
    has = np.flatnonzero(opened.size > 0)
    if not 2 <= len(has) <= MOST_CLUSTERS:
        return between.one, between.other, np.arange(len(key))
    count = min(NEAREST + 1, len(has))
    near, _ = exact_top_k(means[has], np.arange(len(has), dtype=np.int32), means[has], count)
    one, other = np.repeat(has, count - 1), has[near[:, 1:].ravel()]
    more = np.unique(np.minimum(one, other) << 32 | np.maximum(one, other))
    every = np.union1d(key, more)
    place = np.minimum(np.searchsorted(key, every), max(len(key) - 1, 0))
    listed = np.where(key[place] == every, place, -1) if len(key) else np.full(len(every), -1)
    return every >> 32, every & 0xFFFFFFFF, listed


def gains(opened: Opened, one: Int64, other: Int64) -> Float64:
    """Return the bits per unit of the lesser flow that each merge (M,) saves.

    Parameters
    ----------
    opened : Opened
        The run; its edges in force decide.
    one, other : (M,) int64
        Pairs of clusters, the lower one first.
    """
    state = opened.state
    count = len(opened.cluster_id)
    network = state.edges.network(state.num_rows)
    flows = community_flows(network, opened.cluster, count)
    source, target = (opened.cluster[ends].astype(np.int64) for ends in (state.edges.source, state.edges.target))
    is_cut = source != target
    key = np.minimum(source, target)[is_cut] << 32 | np.maximum(source, target)[is_cut]
    named, inverse = np.unique(key, return_inverse=True)
    weight = np.bincount(inverse, state.edges.weight[is_cut], len(named))
    wanted_key = one << 32 | other
    place = np.minimum(np.searchsorted(named, wanted_key), max(len(named) - 1, 0))
    joint = np.where(named[place] == wanted_key, weight[place], 0.0) if len(named) else np.zeros(len(one))

    def sides(cluster: Int64) -> Flows:
        return Flows(flows.flow[cluster], flows.exit[cluster], flows.enter[cluster])

    gain = merge_gain(sides(one), sides(other), joint, frozen_mu(flows.enter))
    least = np.minimum(flows.flow[one], flows.flow[other])
    has_flow: Bool = least > 0
    return np.where(has_flow, gain / np.where(has_flow, least, 1.0), np.nan)


def merge_items(opened: Opened, decided: Decided, most: int) -> list[QueueItem]:
    """Return the first items of the queue.

    Parameters
    ----------
    opened : Opened
        The run.
    decided : Decided
        Decisions in force.
    most : int
        Items at most.
    """
    found = merges(opened, decided)
    return items_of(opened, found, np.arange(min(most, len(found.one))))


def items_of(opened: Opened, candidates: Merges, places: Int64) -> list[QueueItem]:
    """Return the items of candidates, numbered in this order.

    Parameters
    ----------
    opened : Opened
        The run.
    candidates : Merges
        Its candidates.
    places : (Q,) int64
        Positions among them.
    """
    members, ids = Members(opened), opened.state.ids
    likely = probability("merge", candidates.features)
    items = []
    for number, place in enumerate(places.tolist()):
        clusters = [int(candidates.one[place]), int(candidates.other[place])]
        sides = [
            tuple(ids.take(pa.array(side(int(bridge), members.of(cluster)))).to_pylist())
            for bridge, cluster in zip(candidates.bridge[place], clusters, strict=True)
        ]
        gain = float(candidates.gain[place])
        evidence: dict[str, float | int | str | None] = {
            "best five": round(float(candidates.best[place]), 4),
            "cosine of mean vectors": round(float(candidates.cosine[place]), 4),
            "pairs in neighbor lists": int(candidates.num_pairs[place]),
            "share listed by both": round(float(candidates.mutual_share[place]), 4),
            "gain in bits per flow": None if np.isnan(gain) else round(gain, 4),
            "rows": f"{opened.size[clusters[0]]:,} and {opened.size[clusters[1]]:,}",
        }
        a, b = (opened.published(cluster) for cluster in clusters)
        items.append(QueueItem(number, "merge", a, b, sides[0], sides[1], evidence, float(likely[place])))
    return items
