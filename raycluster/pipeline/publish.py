"""Publish labels, clusters and, last of all, the manifest.

RUN/labels/*.parquet   one row per row of the set
RUN/clusters.parquet   one row per cluster
RUN/dropped.parquet    rows that were left out, and why
RUN/MANIFEST.json      written last: readers trust it and never a listing

Rows that are exact copies of others are listed in RUN/duplicates.parquet.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster._version import __version__
from raycluster.pipeline.health import check
from raycluster.pipeline.workers import workers
from raycluster.stages import wanted_stages
from raycluster.stages.labels import clusters_table
from raycluster.stages.stage import shards_of_all
from raycluster.storage import schemas
from raycluster.storage.copies import Copies
from raycluster.storage.records import LabelsPart, encode
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Facts


def publish(tables: StoredTables, seconds: dict[str, float]) -> Facts:
    """Publish a run whose stages are done; returns its summary. `seconds` are those of every stage."""
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
    ids = all_ids(tables)
    files = put_row_lists(tables, ids)
    files["clusters.parquet"] = store.put_tables("clusters.parquet", [clusters_table(tables, ids)])
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
    return {
        "version": __version__,
        "summary": summary,
        "config": asdict(tables.config),
        "input": asdict(tables.folder.plan.input),
        **_numbers(tables),
        "workers": workers(tables),
    }


def all_ids(tables: StoredTables) -> pa.ChunkedArray:
    """Return the ids of all rows, in their order."""
    return pa.chunked_array([tables.ids(shard).combine_chunks() for shard in shards_of_all(tables)])


def put_row_lists(tables: StoredTables, ids: pa.ChunkedArray) -> dict[str, str]:
    """Write which rows were left out and which are copies; returns the files' digests."""
    lists = {"dropped.parquet": _dropped(tables)}
    if tables.copies is not None:
        lists["duplicates.parquet"] = _duplicates(tables, tables.copies, ids)
    return {name: tables.folder.store.put_tables(name, [table]) for name, table in lists.items()}


def _headlines(tables: StoredTables) -> Facts:
    """Return what the stages add to the summary: the partition first, then the stages before it."""
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


def _duplicates(tables: StoredTables, copies: Copies, ids: pa.ChunkedArray) -> pa.Table:
    """Return the id of every copy, and of the first row of its vector."""
    first = copies.for_all(copies.first)
    copy = np.flatnonzero(first != np.arange(len(first)))
    columns = {"id": ids.take(pa.array(copy)), "original": ids.take(pa.array(first[copy]))}
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
