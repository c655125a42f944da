"""Signs, without labels, that the identities of a run cannot be relied on.

It reads what the stages left: neighbors, scores, limits and labels. Sets where runs go wrong are alike here: neighbors lie above
the limit of similarity, and scores part them all the same, or none does; or clusters consist of tight groups, as families of near
copies do.

Shapes: N rows, R rows of a block, K neighbors per row with the row itself at rank 0.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from raycluster.arrays import Bool, Float32, Int32, Int64
from raycluster.kernels.neighborhoods.near_groups import in_groups
from raycluster.kernels.neighborhoods.pair_sums import UNIT
from raycluster.limits.cohesion import Lists
from raycluster.limits.far_ranks import SECOND_LEVEL, pick_threshold
from raycluster.limits.in_force import EdgeLimits
from raycluster.limits.random_pairs import FEWEST_NEIGHBORS, sample_pairs
from raycluster.pipeline.looseness import looseness
from raycluster.pipeline.weakest_cut import conductance
from raycluster.stages.communities import communities_of, identities_of
from raycluster.stages.edges import edges_in_force, limits_of
from raycluster.stages.knn import is_uniform, neighbors_of
from raycluster.stages.knn_cost import copies_of_neighbors
from raycluster.stages.labels import labels_of
from raycluster.stages.relations import few_scores, measured_vectors
from raycluster.storage.tables import Tables

MOST_ROWS = 20_000
"""Rows that are read, evenly chosen: shares are then exact to 0.004. More take longer."""
DOUBTFUL = (0.2, 0.8)
"""Scores between which a pair is doubtful. A wider band makes more rows doubtful."""
MOST_OUTSIDE = 0.05
"""Share of near neighbors left outside above which confidence is low: 0.001 on clear faces, a third on offers of products. At 0.1
two sets more of 80 pass, of BCubed F 61 and 86."""
MOST_CONFLICTS = 0.2
"""Share of pairs above one limit and below the other above which confidence is low. It is 0.17 at most on faces and on other sets
whose labels are right. At 0.25 two sets more of 80 pass, of BCubed F 12 and 92."""
MOST_DOUBTFUL = 0.4
"""Share of rows whose best score is doubtful from which this is a reason too, where there are conflicts. Alone it is none: it is
0.5 to 0.9 on pairs, which are right."""
FEWEST_DOUBTFUL = 0.1
"""Share of doubtful rows up to which scores are clear: 0.01 on dense sets. These may overrule similarity. It is 0.3 and more on
strangers and on offers of products."""
MOST_IN_GROUPS = 0.65
"""Share of the rows that share a cluster in tight groups of their own (`near_groups`) above which a set has two levels. It is
0.84 and more in families of near copies, 0.6 at most on 78 other sets, and 0.11 on LFW."""
FEW_IN_GROUPS = 0.1
"""Such a share up to which scores that are clear need no limit of the set's own. It is 0.05 at most on sets of large identities,
where they are right. It is 0.18 to 0.6 on seven generated sets whose clear scores are wrong, of BCubed F 17 to 70."""
MOST_RISK = 0.62
"""Risk of a picked threshold, an estimated share of rows, from which it is no clear limit. It is at most 0.61 on 12 of 13 sets
that `cosine` gets right, and 0.65 to 0.97 on 11 of 15 others."""
MOST_LOOSE = 0.35
"""Share of the pairs within clusters below the threshold of similarity from which clusters are chains. It is 0.31 at most on sets
that `cosine` gets right. It is 0.38 to 0.52 on translations, places, functions of one name and two generated sets."""
MOST_BORDERLINE = 0.75
"""Pairs within a tenth of the way about the threshold, as a share of those above it, from which it lies in no gap. It is 0.72 at
most on sets that `cosine` gets right, and 0.76 to 1.3 on package descriptions, places, translations and four generated sets."""
MOST_IN_GROUPS_BY_SIMILARITY = 0.35
"""Share of rows in tight groups above which a threshold may join identities, where scores do not speak. It is 0.3 at most on sets
that `cosine` gets right, and 0.39 to 0.91 on families, translations and three generated sets. A threshold below near copies joins
groups by intent, and is left out."""
LEAST_WITHIN = 0.2
"""Share of the scores of all pairs within clusters below which identities may be split. It is 0.13 where bursts of copies are cut
apart, and 0.32 and more where clusters are right."""
LEAST_SHARED = 0.1
"""Share of rows with another row in their cluster below which a set may be of strangers."""
WEAK_CUT = 0.02
"""Share of the edge weight of one half that leaves it, at the weakest cut of the largest cluster, below which it may be two."""
LARGE = 0.5
"""Share of all rows in one cluster from which it is suspicious, in sets of more than `FEWEST_NEIGHBORS` rows."""
MOST_CUT_ROWS = 5_000
"""Rows of the largest cluster whose weakest cut is sought; of a larger one it takes minutes."""


@dataclass(frozen=True)
class Health:
    """What the check measured; None where a recipe has no such number."""

    near_outside: float | None
    """Share of neighbors above the limit of similarity that are of another cluster."""
    conflicts: float | None
    """Share of neighbors that pass the limit of one of score and similarity, and fail the other."""
    doubtful: float | None
    """Share of rows whose best score is neither clear nor clearly none."""
    in_groups: float | None
    """Share of the rows that share a cluster in tight groups of their own there."""
    within: float | None
    """Share of the scores of all pairs that lies within clusters."""
    shared: float
    """Share of rows that are not alone."""
    largest: float
    """Share of all rows in the largest cluster."""
    weakest_cut: float | None
    """Conductance of the largest cluster's weakest cut, 0..1."""
    is_decided: bool
    """Whether the set itself showed a limit."""
    loose: float | None = None
    """Share of the pairs within clusters that lie below the threshold. Without scores only, and not below near copies."""
    borderline: float | None = None
    """Pairs about the threshold, as a share of those above it; where `loose` is, for a threshold that was picked."""


def check(tables: Tables) -> dict[str, Any]:
    """Return level, reason and advice for a finished run, and the numbers behind them."""
    health = measure(tables)
    reasons = reasons_of(health)
    level = "low" if reasons else "high"
    why = "; ".join(reason for reason, _ in reasons) or "near neighbors and scores agree, and few rows are doubtful"
    advice = reasons[0][1] if reasons else "look at the rows with the lowest margin first"
    numbers = {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(health).items()}
    return {"level": level, "why": why, "what_to_do": advice, **numbers}


def reasons_of(health: Health) -> list[tuple[str, str]]:
    """Return reasons for low confidence with advice, the most serious first."""
    train = "label a few hundred rows and train on them (raycluster train), or raise --limit"
    strangers = "see whether any identity has two rows; if so, set --limit from pairs that are the same"
    levels = "look at one cluster: raise --limit if its tight groups are identities, and keep it if they are copies"
    lower = "look at what the nearest clusters have in common, and lower --limit if they are one identity"
    is_clear = health.doubtful is not None and not _is_above(health.doubtful, FEWEST_DOUBTFUL)
    has_conflicts = _is_above(health.conflicts, MOST_CONFLICTS) and not is_clear
    has_no_limit = not health.is_decided and (_is_above(health.in_groups, FEW_IN_GROUPS) or not is_clear)
    most_in_groups = MOST_IN_GROUPS if health.loose is None else MOST_IN_GROUPS_BY_SIMILARITY
    signs = [
        (health.shared < LEAST_SHARED, "only {shared:.1%} of the rows share a cluster, as in sets of strangers", strangers),
        (_is_above(health.in_groups, most_in_groups),
         "{in_groups:.0%} of the rows lie in tight groups within their cluster, as families of near copies do", levels),
        (_is_above(health.near_outside, MOST_OUTSIDE) and not is_clear,
         "{near_outside:.0%} of the near neighbors are left outside, as where products or texts are relatives", train),
        (_is_above(health.loose, MOST_LOOSE),
         "{loose:.0%} of the pairs within clusters lie below the threshold, as in chains", train),
        (_is_above(health.borderline, MOST_BORDERLINE),
         "the threshold lies in no gap: {borderline:.0%} as many pairs lie about it as above", train),
        (has_conflicts, "score and similarity disagree on {conflicts:.0%} of the pairs above either limit", train),
        (has_conflicts and _is_above(health.doubtful, MOST_DOUBTFUL),
         "the best score of {doubtful:.0%} of the rows is doubtful", train),
        (has_no_limit, "the set shows no clear limit of its own", "set --limit from pairs that are the same identity"),
        (_is_below(health.within, LEAST_WITHIN) and health.shared >= LEAST_SHARED,
         "only {within:.0%} of all score lies within clusters, as where modes are split", lower),
        (health.largest > LARGE, "one cluster holds {largest:.0%} of all rows", "raise --limit"),
        (_is_below(health.weakest_cut, WEAK_CUT),
         "the largest cluster hangs together by {weakest_cut:.1%} of a half's edges", "raise --limit"),
    ]  # fmt: skip
    return [(words.format(**vars(health)), advice) for is_there, words, advice in signs if is_there]


def _is_above(share: float | None, limit: float) -> bool:
    return share is not None and share > limit


def _is_below(share: float | None, limit: float) -> bool:
    return share is not None and share < limit


copies = copies_of_neighbors
"""Bytes of the node-local copies that the check reads, by size and configuration."""


def measure(tables: Tables) -> Health:
    """Return the numbers of a finished run, from `MOST_ROWS` rows."""
    labels, cluster = labels_of(tables), identities_of(tables)
    if is_uniform(tables) or len(cluster) <= FEWEST_NEIGHBORS:
        return Health(None, None, None, None, None, shared=1.0, largest=0.0, weakest_cut=None, is_decided=True)
    size = labels.cluster_size
    shared, largest, cut = (
        float((size > 1).mean()),
        float(size.max() / len(size)),
        _weakest_cut(tables, communities_of(tables)[0]),
    )
    (neighbor, similarity), limits = neighbors_of(tables), limits_of(tables)
    threshold, is_decided = _threshold(tables, limits, neighbor, similarity)
    rows = np.arange(0, len(cluster), -(-len(cluster) // MOST_ROWS))
    listed, near = np.asarray(neighbor[rows, 1:]), np.asarray(similarity[rows, 1:])
    is_near = (near >= threshold) & (listed >= 0)
    is_outside = is_near & (cluster[listed] != cluster[rows][:, None])
    near_outside = float(is_outside.sum() / max(is_near.sum(), 1))
    grouped = _in_groups(rows, cluster, neighbor, similarity)
    score = few_scores(tables) if tables.config.relations.score == "all" else None
    if score is None or limits.eta is None:
        is_loose = _looseness(limits, near, listed >= 0, cluster[listed] == cluster[rows][:, None])
        return Health(near_outside, None, None, grouped, None, shared, largest, cut, is_decided, *is_loose)
    scored = np.nan_to_num(np.asarray(score[rows, 1:]), nan=0.0)
    conflicts, doubtful = _of_scores(scored, is_near, limits.eta)
    within = _within(scored, (cluster[listed] == cluster[rows][:, None]) & (listed >= 0))
    return Health(near_outside, conflicts, doubtful, grouped, within, shared, largest, cut, is_decided)


def _threshold(tables: Tables, limits: EdgeLimits, neighbor: Int32, similarity: Float32) -> tuple[float, bool]:
    """Return the limit of similarity, and whether the set showed the limit in force.

    Where none is in force, it is the one that the far ranks suggest; where that was not picked before, it is picked here.
    """
    if limits.threshold is not None:
        return limits.threshold, float(limits.facts.get("risk", 0.0)) < MOST_RISK
    if limits.suggested is not None:
        return limits.suggested, limits.valley is not False
    if similarity.shape[1] < FEWEST_NEIGHBORS:
        return limits.similarity or 0.5, limits.valley is not False
    vectors = measured_vectors(tables)
    return pick_threshold(similarity, sample_pairs(vectors), Lists(neighbor, vectors))[0], limits.valley is not False


def _looseness(
    limits: EdgeLimits, near: Float32, is_listed: Bool, is_inside: Bool
) -> tuple[float | None, float | None]:
    """Return the looseness of clusters at a threshold.

    Both are None without a threshold, and below near copies, which it joins by intent.
    """
    if limits.threshold is None or limits.facts.get("basis") == SECOND_LEVEL:
        return None, None
    median = limits.facts.get("random_pair_median")
    return looseness(near, is_listed, is_inside, limits.threshold, None if median is None else float(median))


def _in_groups(rows: Int64, cluster: Int32, neighbor: Int32, similarity: Float32) -> float | None:
    """Return the share of shared rows that lie in tight groups.

    Shared are those of rows (R,) that have others in their cluster (N,). None without any.
    """
    shared = rows[np.bincount(cluster)[cluster[rows]] > 1]
    return float(in_groups(shared, neighbor, similarity, cluster).mean()) if len(shared) else None


def _within(score: Float32, is_inside: Bool) -> float:
    """Return the share of scores (R, K - 1) that lies within clusters.

    It is 1 where nothing scores.
    """
    # in integer steps, whose sums are the same in any order
    steps = np.rint(score.astype(np.float64) * UNIT).astype(np.int64)
    total = int(steps.sum())
    return int(steps[is_inside].sum()) / total if total else 1.0


def _of_scores(score: Float32, is_near: Any, eta: float) -> tuple[float, float]:
    """Return the shares of conflicts and of doubtful rows.

    Scores and nearness are (R, K - 1).
    """
    passes = score >= eta
    conflicts = float((passes != is_near).sum() / max((passes | is_near).sum(), 1))
    best = score.max(axis=1)
    return conflicts, float(((best > DOUBTFUL[0]) & (best < DOUBTFUL[1])).mean())


def _weakest_cut(tables: Tables, cluster: Int32) -> float | None:
    """Return the least conductance of a spectral cut of the largest communities.

    There are several where they are equally large, those with the lowest rows first, of `MOST_CUT_ROWS` rows together. None for
    communities of few or too many rows. `cluster` (N,) is read before pieces are joined again: few edges join the pieces of one
    identity.
    """
    size = np.bincount(cluster)
    most = int(size.max())
    largest = np.flatnonzero(size == most)[: MOST_CUT_ROWS // most]
    if most < FEWEST_NEIGHBORS or not len(largest):
        return None
    # the rows of one community after those of the other
    rows = np.flatnonzero(np.isin(cluster, largest))
    rows = rows[np.argsort(cluster[rows], kind="stable")]
    graph, place = edges_in_force(tables), np.full(len(cluster), -1)
    place[rows] = np.arange(len(rows))
    source, target = graph["source"], graph["target"]
    inside = (place[source] >= 0) & (cluster[source] == cluster[target])
    weight = np.maximum(graph["weight"][inside], 0).astype(np.float64)
    links = csr_array((weight, (place[source[inside]], place[target[inside]])), shape=(len(rows), len(rows)))
    links = csr_array(links + links.T)
    spans = [slice(first, first + most) for first in range(0, len(rows), most)]
    cuts = [conductance(links[span][:, span]) for span in spans]
    return min((cut for cut in cuts if cut is not None), default=None)
