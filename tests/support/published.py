"""Run folders that hold results alone: labels, clusters and a manifest, as large as a test needs."""

from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.storage import schemas
from raycluster.storage.object_store import Store
from raycluster.storage.records import encode

ROWS_PER_PART = 2**20


def publish_labels(url: str, cluster: Any, strength: Any) -> None:
    """Write a finished run with clusters (N,) and strengths (N,), NaN for rows alone; ids are 10 times the row number."""
    store, parts = Store(url), []
    size = np.bincount(cluster)
    first = np.unique(cluster, return_index=True)[1]
    for number, start in enumerate(range(0, len(cluster), ROWS_PER_PART)):
        rows = np.arange(start, min(start + ROWS_PER_PART, len(cluster)))
        table = schemas.from_columns(
            schemas.labels(pa.int64()),
            id=rows * 10,
            cluster_id=cluster[rows],
            strength=pa.array(strength[rows], mask=np.isnan(strength[rows])),
            is_outlier=np.zeros(len(rows), bool),
            is_representative=first[cluster[rows]] == rows,
            cluster_size=size[cluster[rows]],
            runner_up=pa.nulls(len(rows), pa.int64()),
            margin=pa.nulls(len(rows), pa.float32()),
        )
        path = f"labels/part-{number:05d}.parquet"
        parts.append({"path": path, "rows": len(rows), "sha256": store.put_tables(path, [table])})
    files = {"clusters.parquet": store.put_tables("clusters.parquet", [clusters_table(size, first)])}
    summary = {"run": url, "rows": len(cluster), "clusters": len(size), "singletons": int((size == 1).sum()),
               "largest": int(size.max()), "seconds": {"knn": 1.0}}  # fmt: skip
    config = {"id_column": "id", "recipe": "cosine"}
    store.put("MANIFEST.json", encode({"summary": summary, "config": config, "labels": parts, "files": files}))


def clusters_table(size: Any, first: Any) -> pa.Table:
    """The table of clusters of these sizes and first rows (C,)."""
    return schemas.from_columns(
        schemas.clusters(pa.int64()),
        cluster_id=np.arange(len(size)),
        size=size,
        representative=first * 10,
        mean_strength=np.full(len(size), 0.9, np.float32),
        inner_weight=np.ones(len(size)),
        outer_weight=np.full(len(size), 0.1),
    )
