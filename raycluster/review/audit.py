"""A labelled set against its clusters: which labels are wrong.

    mislabelled           a row whose cluster and neighbors carry another label
    one identity          a label whose rows lie in a cluster of another label: one identity under several labels
    several identities    rows of a label that lie in a cluster of their own: several identities under one label

Each has a confidence, the probability of the finding by weights that were fitted on generated sets with planted mistakes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array, Bool, Float64, Int32, Int64
from raycluster.limits.in_force import EdgeLimits
from raycluster.review.between import Between
from raycluster.review.calibration import Features, probability
from raycluster.review.label_evidence import Groups, disagreements, group_features, leads, row_features, supported
from raycluster.review.pairs import Pairs

KINDS = ("mislabelled", "one identity under several labels", "several identities under one label")
"""Names of the findings, in the order of their numbers."""
MISLABELLED, ONE_IDENTITY, SEVERAL_IDENTITIES = range(3)  # positions in KINDS
LEAST = (0.5, 0.3, 0.5)
"""Confidence from which a finding is listed, by kind. A second label is listed below one half as well, because one decision
covers all of its rows. Raising these lists fewer findings, of which more are right."""
FEWEST = 2
"""Rows that carry a second label, or lie apart under one, before it counts as more than a slip of single rows."""


@dataclass(frozen=True)
class Issues:
    """Findings, the most confident first."""

    row: Int64
    """(M,) each row occurs once."""
    suggested: Int64
    """(M,) label, -1 where none can be suggested."""
    confidence: Float64
    """(M,) in 0..1."""
    kind: Int64
    """(M,) position in `KINDS`."""


@dataclass(frozen=True)
class Candidates:
    """What may be wrong, with its features but no probability yet (M)."""

    place: Int64
    """Row for `mislabelled`, else group."""
    features: Features
    suggested: Int64


def candidates(label: Int64, cluster: Int32, pairs: Pairs, limits: EdgeLimits) -> tuple[Groups, list[Candidates]]:
    """Return the groups of a set and, by kind, what may be wrong.

    Parameters
    ----------
    label : (N,) int64
        Labels 0.., -1 for rows without one.
    cluster : (N,) int32
        Clusters.
    pairs : Pairs
        Pairs of rows that lists name.
    limits : EdgeLimits
        The limits of the run.
    """
    groups = Groups.of(label, cluster)
    support = supported(label, pairs)
    features, suggested = row_features(groups, support, limits)
    lead = leads(groups, support, limits)
    between = Between.of(pairs, groups.row, groups.size)
    number = np.arange(len(groups.size))
    is_home = groups.home == number
    # A label that lies in the cluster of a larger one, and mostly there.
    alias = np.flatnonzero((groups.first != number) & is_home & (groups.size >= FEWEST))
    # The largest group of a cluster, of a label that has a larger group elsewhere.
    apart = np.flatnonzero((groups.first == number) & ~is_home & (groups.size >= FEWEST))
    into, home = groups.first[alias], groups.home[apart]
    evidence = [
        group_features(groups, one, other, between, lead, limits) for one, other in ((alias, into), (apart, home))
    ]
    return groups, [
        Candidates(np.flatnonzero(groups.row >= 0), features, suggested),
        Candidates(alias, {**evidence[0], **disagreements(groups, len(alias))}, groups.label[into]),
        Candidates(apart, evidence[1], np.full(len(apart), -1, np.int64)),
    ]


def issues(label: Int64, cluster: Int32, pairs: Pairs, limits: EdgeLimits, least: float | None = None) -> Issues:
    """Return what is likely wrong with the labels.

    Parameters
    ----------
    label : (N,) int64
        Labels 0.., -1 for rows without one.
    cluster : (N,) int32
        Clusters.
    pairs : Pairs
        Pairs of rows that lists name.
    limits : EdgeLimits
        The limits of the run.
    least : float, optional
        Lowest confidence of all kinds; none means `LEAST`.

    Returns
    -------
    Issues
        Groups come before single rows: a row of a group that is listed is no mistake of its own.
    """
    groups, by_kind = candidates(label, cluster, pairs, limits)
    confidence, suggested = np.zeros(len(label)), np.full(len(label), -1, np.int64)
    kind = np.full(len(label), -1, np.int64)
    for number in (MISLABELLED, ONE_IDENTITY, SEVERAL_IDENTITIES):
        found = by_kind[number]
        if len(found.place) == 0:
            continue
        likely = probability(KINDS[number], found.features)
        kept = likely >= (LEAST[number] if least is None else least)
        rows, place = (found.place[kept],) * 2
        at = np.flatnonzero(kept)
        if number != MISLABELLED:
            rows, at = _rows_of(groups, found.place, kept)
            place = found.place[at]
        assert len(place) == len(rows), "one place per row"
        confidence[rows], suggested[rows], kind[rows] = likely[at], found.suggested[at], number
    row = np.flatnonzero(kind >= 0)
    row = row[np.lexsort((row, -confidence[row]))]
    return Issues(row, suggested[row], confidence[row], kind[row])


def _rows_of(groups: Groups, place: Int64, kept: Bool) -> tuple[Int64, Int64]:
    """Rows of the groups that are kept, and where in `place` their group is."""
    position = np.full(len(groups.size), -1, np.int64)
    position[place[kept]] = np.flatnonzero(kept)
    at = np.where(groups.row >= 0, position[groups.row], -1)
    rows = np.flatnonzero(at >= 0)
    return rows, at[rows]


def schema(id_type: pa.DataType) -> pa.Schema:
    """Return the columns of `label_issues.parquet`.

    A label that cannot be suggested is null.
    """
    return pa.schema(
        [
            ("id", id_type),
            ("given_label", pa.large_string()),
            ("suggested_label", pa.large_string()),
            ("confidence", pa.float64()),
            ("kind", pa.string()),
        ]
    )


def table_of(issues: Issues, ids: pa.Array, label: Int64, names: pa.Array) -> pa.Table:
    """Return the findings in ids and names.

    Parameters
    ----------
    issues : Issues
        Findings.
    ids : (N,) pa.Array
        Id of each row.
    label : (N,) int64
        Label of each row.
    names : (L,) pa.Array
        Name of each label.
    """
    suggested: Array = issues.suggested
    columns: dict[str, Any] = {
        "id": ids.take(pa.array(issues.row)),
        "given_label": names.take(pa.array(label[issues.row])),
        "suggested_label": names.take(pa.array(suggested, mask=suggested < 0)),
        "confidence": issues.confidence,
        "kind": pa.array(np.array(KINDS, object)[issues.kind], pa.string()),
    }
    return pa.table(columns, schema=schema(ids.type))
