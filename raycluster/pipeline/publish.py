"""Publish labels, clusters and, last of all, the manifest.

RUN/labels/*.parquet   one row per row of the set
RUN/clusters.parquet   one row per cluster
RUN/dropped.parquet    rows that were left out, and why
RUN/MANIFEST.json      written last: readers trust it and never a listing

Rows that are exact copies of others are listed in RUN/duplicates.parquet.
"""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster._version import __version__
from raycluster.arrays import Array
from raycluster.kernels.sorted_ids import joined, large_type
from raycluster.pipeline.bill import usd_of_run
from raycluster.pipeline.health import check
from raycluster.pipeline.workers import workers
from raycluster.stages import wanted_stages
from raycluster.stages.labels import labels_of
from raycluster.stages.stage import shards_of_all
from raycluster.storage import schemas
from raycluster.storage.copies import Copies
from raycluster.storage.records import LabelsPart, encode
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Facts

IDS_PER_CHUNK = 2**20
"""Ids of one chunk, about a million. A chunk of Arrow's strings holds 2 GiB, so ids may have 2 KiB each."""


def publish(tables: StoredTables, seconds: dict[str, float]) -> Facts:
    """Publish a run whose stages are done; returns its summary.

    `seconds` are those of every stage.
    """
    folder, store = tables.folder, tables.folder.store
    shards = shards_of_all(tables)
    markers = [folder.marker("labels", shard.number) for shard in shards]
    assert sum(marker.rows for marker in markers) == tables.bounds_of_all[-1], "a row was lost or doubled"
    parts = [
        LabelsPart(f"labels/part-{number:05d}.parquet", marker.rows, marker.sha256)
        for number, marker in enumerate(markers)
    ]
    manifest = {**described(tables, seconds), "labels": [asdict(part) for part in parts]}
    for shard, part, marker in zip(shards, parts, markers, strict=True):
        folder.require_file("labels", shard.number)
        store.copy(marker.key, part.path)
    files = put_row_lists(tables)
    labels = labels_of(tables)
    clusters = labels.clusters_table(ids_at(tables, labels.representative), tables.id_type)
    files["clusters.parquet"] = store.put_tables("clusters.parquet", [clusters])
    store.put("MANIFEST.json", encode({**manifest, "files": files}))
    return dict(manifest["summary"])


def described(tables: StoredTables, seconds: dict[str, float]) -> Facts:
    """Return the manifest of a run without its labels.

    `seconds` are those of every stage.
    """
    summary = {
        "run": tables.folder.store.url,
        "recipe": tables.config.recipe,
        "rows": tables.bounds_of_all[-1],
        "dropped": _dropped(tables).num_rows,
        **_headlines(tables),
        "confidence": check(tables),
        "seconds": seconds,
    }
    if (usd := usd_of_run(tables, seconds)) is not None:
        summary["usd"] = usd
    return {
        "version": __version__,
        "summary": summary,
        "config": asdict(tables.config),
        "input": asdict(replace(tables.folder.plan.input, states=[])),
        **_numbers(tables),
        "workers": workers(tables),
    }


def ids_at(tables: StoredTables, rows: Array) -> pa.ChunkedArray:
    """Return the ids of rows (M,) in any order.

    One shard's ids are held at a time, besides the result.
    """
    order = np.argsort(rows, kind="stable")
    ends = np.searchsorted(rows[order], tables.bounds_of_all)
    parts = [pa.chunked_array([], large_type(tables.id_type))]
    for shard, begin, end in zip(shards_of_all(tables), ends[:-1], ends[1:], strict=True):
        if begin < end:
            there = joined([tables.ids(shard)], tables.id_type)
            parts.append(pa.chunked_array([there.take(pa.array(rows[order[begin:end]] - shard.start))]))
    ids = joined(parts, tables.id_type).take(pa.array(np.argsort(order)))
    return pa.chunked_array(
        [ids[start : start + IDS_PER_CHUNK] for start in range(0, len(ids), IDS_PER_CHUNK)], ids.type
    )


def put_row_lists(tables: StoredTables) -> dict[str, str]:
    """Write which rows were left out and which are copies.

    Returns the files' digests.
    """
    lists = {"dropped.parquet": _dropped(tables)}
    if tables.copies is not None:
        lists["duplicates.parquet"] = _duplicates(tables, tables.copies)
    return {name: tables.folder.store.put_tables(name, [table]) for name, table in lists.items()}


def _headlines(tables: StoredTables) -> Facts:
    """Return what the stages add to the summary.

    The partition comes first, then the stages before it.
    """
    wanted = wanted_stages(tables.config)
    collected: dict[str, Any] = {}
    for stage in [wanted[-1], *wanted[:-1]]:
        if stage.headline is not None:
            collected |= stage.headline(tables)
    return collected


def _numbers(tables: StoredTables) -> Facts:
    """Return what the stages add to the manifest, by name."""
    wanted = wanted_stages(tables.config)
    return {stage.name: stage.numbers(tables) for stage in wanted if stage.numbers is not None}


def _duplicates(tables: StoredTables, copies: Copies) -> pa.Table:
    """Return the id of every copy, and of the first row of its vector."""
    first = copies.for_all(copies.first)
    copy = np.flatnonzero(first != np.arange(len(first)))
    columns = {"id": ids_at(tables, copy), "original": ids_at(tables, first[copy])}
    return schemas.from_columns(schemas.duplicates(tables.id_type), **columns)


def _dropped(tables: StoredTables) -> pa.Table:
    """Return the input rows that were left out, with file, row and reason."""
    plan = tables.folder.plan
    rows: list[tuple[Any, str, int, str]] = []
    for piece, planned in enumerate(plan.pieces):
        name = plan.input.files[planned.file].path or plan.input.url
        for key, row, reason, _ in tables.folder.marker("ingest", piece).facts["dropped"]:
            rows.append((key, name, row, reason))
    columns = {name: [row[at] for row in rows] for at, name in enumerate(("id", "file", "row", "reason"))}
    return schemas.from_columns(schemas.dropped(tables.id_type), **columns)
