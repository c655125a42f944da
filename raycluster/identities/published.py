"""What an update shows to readers: the tables of a run, with ids that stay."""

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster._version import __version__
from raycluster.arrays import Int64
from raycluster.identities.confirmations import write
from raycluster.identities.copied import firsts
from raycluster.identities.inheritance import NO_ID
from raycluster.identities.update import Updated
from raycluster.kernels.neighborhoods.pair_sums import PairSums, both_limits
from raycluster.models.card import strength_weights
from raycluster.models.set_statistics import similarity_limit
from raycluster.models.strength import Evidence
from raycluster.stages.label_columns import Labels, describe, nulls_for_nan
from raycluster.storage import schemas
from raycluster.storage.object_store import Store
from raycluster.storage.records import LabelsPart, encode

ROWS_PER_PART = 2**20
"""Rows of one file of labels, 1 million. Fewer make more and smaller files."""


def published(
    store: Store, updated: Updated, summary: dict[str, Any], more: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Write labels, clusters, lineage and, last, the manifest; returns the summary.

    Parameters
    ----------
    store : Store
        The new run folder.
    updated : Updated
        What to publish.
    summary : dict
        What the summary holds beside the counts of clusters.
    more : dict
        What the manifest holds beside summary, configuration and labels.
    """
    state = updated.state
    labels = _described(updated)
    alive = np.flatnonzero(state.is_alive)
    parts = []
    for number, begin in enumerate(range(0, len(alive), ROWS_PER_PART)):
        rows = alive[begin : begin + ROWS_PER_PART]
        path = f"labels/part-{number:05d}.parquet"
        digest = store.put_tables(path, [_labels_table(updated, labels, rows)])
        parts.append(LabelsPart(path, len(rows), digest))
    clusters = _clusters_table(updated, labels)
    tables = {name: getattr(state.records, name) for name in ("lineage", "aliases", "decisions")}
    files = {f"{name}.parquet": store.put_tables(f"{name}.parquet", [table]) for name, table in tables.items()}
    del files["decisions.parquet"]  # people go on writing it
    files["clusters.parquet"] = store.put_tables("clusters.parquet", [clusters])
    if len(state.confirmed):
        write(store, state.confirmed)
    if len(updated.suggestions.into):
        left_out = pa.table(asdict(updated.suggestions))
        files["suggestions.parquet"] = store.put_tables("suggestions.parquet", [left_out])
    summary = {
        **summary,
        "rows": len(alive),
        "clusters": clusters.num_rows,
        "singletons": int((state.row_id[alive] == NO_ID).sum()),
        "outliers": int(labels.is_outlier[alive].sum()),
    }
    manifest = {
        **(more or {}),
        "version": __version__,
        "summary": summary,
        "config": asdict(state.config),
        "labels": [asdict(part) for part in parts],
        "files": {**(more or {}).get("files", {}), **files},
    }
    store.put("MANIFEST.json", encode(json.loads(json.dumps(manifest))))
    return summary


def labels_and_clusters(updated: Updated, label: Int64) -> tuple[Labels, pa.Table]:
    """Return the labels of all rows (N,) and the table of clusters, in memory.

    Parameters
    ----------
    updated : Updated
        Without removed rows.
    label : (N,) int64
        Label of each row's cluster, rows alone included.
    """
    labels = _described(updated)
    name = np.empty(len(updated.inheritance.ids), np.int64)
    name[updated.cluster] = label
    other = np.where(labels.runner_up >= 0, name[np.maximum(labels.runner_up, 0)], -1)
    return replace(labels, cluster_id=label.astype(np.int32), runner_up=other), _clusters_table(updated, labels)


def _described(updated: Updated) -> Labels:
    state = updated.state
    strength = None
    lists, limits = state.lists, state.limits
    has_scores = lists.score is not None and state.config.relations.score == "all"
    weights = strength_weights(str(state.config.model)) if has_scores else {}
    if weights and limits.threshold is None:  # scores that were set aside measure no strength
        block = (0, lists.neighbor, lists.similarity, lists.score)
        sums = PairSums.of(updated.cluster, [block], both_limits(limits.eta, similarity_limit(state.set_facts)))
        strength = Evidence.of(updated.cluster, sums).strength(weights)
    labels = describe(updated.cluster, *updated.links.columns(), config=state.config.labels, strength=strength)
    # Copies have no edges of their own: what holds for the first of them in a cluster holds for all there.
    names, first = ("strength", "is_outlier", "runner_up", "margin"), firsts(state.original, updated.cluster)
    return replace(labels, **{name: getattr(labels, name)[first] for name in names})


def _labels_table(updated: Updated, labels: Labels, rows: Int64) -> pa.Table:
    state, ids = updated.state, updated.inheritance.ids
    runner_up = labels.runner_up[rows]
    other = np.where(runner_up >= 0, ids[np.maximum(runner_up, 0)], NO_ID)
    own = state.row_id[rows]
    named = {"cluster_id": pa.array(own, mask=own == NO_ID), "runner_up": pa.array(other, mask=other == NO_ID)}
    columns = labels.columns(rows) | named
    return schemas.from_columns(schemas.labels(state.ids.type), id=state.ids.take(pa.array(rows)), **columns)


def _clusters_table(updated: Updated, labels: Labels) -> pa.Table:
    state, ids = updated.state, updated.inheritance.ids
    has = np.flatnonzero(ids != NO_ID)
    has = has[np.argsort(ids[has])]
    return schemas.from_columns(
        schemas.clusters(state.ids.type),
        cluster_id=ids[has],
        size=np.bincount(updated.cluster, minlength=len(ids))[has],
        representative=state.ids.take(pa.array(labels.representative[has])),
        mean_strength=nulls_for_nan(labels.mean_strength[has]),
        inner_weight=labels.inner_weight[has],
        outer_weight=labels.outer_weight[has],
    )
