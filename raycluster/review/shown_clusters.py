"""Clusters that a report shows: the largest, and some drawn at random.

Shapes: N rows, C clusters, S shown clusters, M rows of one cluster.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from raycluster.arrays import Float64, Int64
from raycluster.limits.in_force import passes_limits
from raycluster.pipeline.health import MOST_CUT_ROWS
from raycluster.pipeline.weakest_cut import weakest_cut
from raycluster.review.opened_run import OpenedRun
from raycluster.stages.edges import GRAPH, limits_of
from raycluster.storage.tables import Tables

SHOWN = 20
"""Clusters of each kind: about three screens. More take longer to see and enlarge the report."""
ROWS_SHOWN = 8
"""Strongest rows, and weakest ones, of a cluster that are shown."""


@dataclass(frozen=True)
class ShownCluster:
    """A cluster, and the rows that stand for it."""

    cluster_id: int
    size: int
    mean_strength: float | None
    strongest: tuple[Any, ...]
    """Ids of its strongest rows, the strongest first."""
    weakest: tuple[Any, ...]
    """Ids of its weakest rows that are not among the strongest, the weakest first."""
    cut: float | None
    """Conductance of its weakest cut, 0..1; none where it is too small or large, or edges are gone."""
    bridge: tuple[Any, ...]
    """Ids of the two ends of the heaviest edge across that cut."""


def largest(size: Int64) -> Int64:
    """Return the largest clusters (C,) of two rows or more, ties to the lower one."""
    order = np.lexsort((np.arange(len(size)), -size))[:SHOWN]
    return order[size[order] > 1]


def drawn(size: Int64) -> Int64:
    """Return clusters (C,) of two rows or more at random, always the same ones."""
    shared = np.flatnonzero(size > 1)
    return np.sort(np.random.default_rng(0).choice(shared, min(SHOWN, len(shared)), replace=False))


def shown(run: OpenedRun, clusters: Int64) -> list[ShownCluster]:
    """Return what is shown of clusters (S,), in their order."""
    names, size, ids = run.names, run.size, run.labels["id"]
    is_shown = np.zeros(len(size), bool)
    is_shown[clusters] = True
    rows = np.flatnonzero(is_shown[run.cluster])
    members = {int(one): rows[run.cluster[rows] == one] for one in clusters}
    cuts = _cuts(run, members) if run.tables is not None else {}
    result = []
    for one in clusters.tolist():
        order = _by_strength(run.strength[members[one]], members[one])
        first, last = order[:ROWS_SHOWN], order[ROWS_SHOWN:][-ROWS_SHOWN:][::-1]
        cut, bridge = cuts.get(one, (None, ()))
        mean = run.strength[members[one]]
        result.append(
            ShownCluster(
                cluster_id=int(names[one]),
                size=int(size[one]),
                mean_strength=None if np.isnan(mean).all() else float(np.nanmean(mean)),
                strongest=_ids(ids, first),
                weakest=_ids(ids, last),
                cut=cut,
                bridge=_ids(ids, bridge),
            )
        )
    return result


def _by_strength(strength: Float64, rows: Int64) -> Int64:
    """Return rows (M,) from strongest to weakest, ties to the lower one."""
    return rows[np.lexsort((rows, -np.nan_to_num(strength, nan=-1.0)))]


def _ids(ids: pa.ChunkedArray, rows: Sequence[int] | Int64) -> tuple[Any, ...]:
    """Return the ids of rows."""
    return tuple(ids.take(pa.array(np.asarray(rows, np.int64))).to_pylist())


def _cuts(run: OpenedRun, members: dict[int, Int64]) -> dict[int, tuple[float, tuple[int, int]]]:
    """Return conductance and bridge of the weakest cut of every cluster.

    Edges are read shard by shard, and only those within these clusters are kept.
    """
    tables = run.tables
    assert tables is not None
    copies = tables.copies
    distinct = {
        one: rows if copies is None else np.unique(copies.distinct[rows])
        for one, rows in members.items()
        if len(rows) <= MOST_CUT_ROWS
    }
    home = np.full(tables.rows, -1, np.int32)
    for one, rows in distinct.items():
        home[rows] = one
    source, target, weight = _edges_within(tables, home)
    result = {}
    for one, rows in distinct.items():
        if len(rows) < 3:
            continue
        inside = home[source] == one
        ends = [np.searchsorted(rows, side[inside]) for side in (source, target)]
        links = csr_array((weight[inside], (ends[0], ends[1])), shape=(len(rows), len(rows)))
        cut = weakest_cut(links + links.T)
        if cut is None:
            continue
        conductance, is_first = cut
        across = np.flatnonzero(is_first[ends[0]] != is_first[ends[1]])
        if not len(across):
            continue
        best = across[np.lexsort((ends[1][across], ends[0][across], -weight[inside][across]))[0]]
        pair = [int(rows[side[best]]) for side in ends]
        first = pair if copies is None else [int(copies.first[row]) for row in pair]
        result[one] = (conductance, (first[0], first[1]))
    return result


def _edges_within(tables: Tables, home: Any) -> tuple[Any, Any, Float64]:
    """Return source, target and weight (E,) of the edges within shown clusters.

    `home` (N,) is the shown cluster of every row, -1 for others.
    """
    config, limits = tables.config.edges, limits_of(tables)
    kept = []
    for block in tables.blocks("edges", [*GRAPH, "nep", "score", "similarity"]):
        inside = (home[block["source"]] >= 0) & (home[block["source"]] == home[block["target"]])
        inside &= passes_limits(block, config, limits)
        kept.append([block[name][inside] for name in GRAPH])
    source, target, weight = (np.concatenate(columns) for columns in zip(*kept, strict=True))
    return source, target, np.maximum(weight, 0).astype(np.float64)
