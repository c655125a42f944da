"""A finished run as the report reads it.

That is what it published and, where they are left, the tables of its stages.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float64, Int64
from raycluster.errors import RayclusterError
from raycluster.pipeline.results import Results
from raycluster.pipeline.run import open_run
from raycluster.storage import schemas
from raycluster.storage.object_store import Store
from raycluster.storage.stored_tables import StoredTables


@dataclass(frozen=True)
class OpenedRun:
    """A finished run.

    `tables` is none for updates, and where the tables of stages were cleaned away.
    """

    results: Results
    tables: StoredTables | None
    without: str | None
    """Why there are no tables."""

    @classmethod
    def of(cls, url: str) -> "OpenedRun":
        """Open the run folder at `url`. Raises InputError where it holds no finished run."""
        results = Results.of(url)
        if results.store.get("plan.json") is None:
            return cls(results, None, "This folder holds results alone: no plan, and no tables of stages.")
        try:
            tables = open_run(url)
            tables.facts("edges")
            if not tables.finished("edges"):
                return cls(results, None, "The tables of stages were cleaned away.")
        except RayclusterError:
            return cls(results, None, "The tables of stages are gone.")
        return cls(results, tables, None)

    @property
    def store(self) -> Store:
        """The run folder."""
        return self.results.store

    @property
    def summary(self) -> dict[str, Any]:
        """The summary of its manifest."""
        return dict(self.results.manifest.get("summary", {}))

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of its manifest."""
        return dict(self.results.manifest.get("config", {}))

    @cached_property
    def labels(self) -> pa.Table:
        """Ids, clusters and strengths of all rows."""
        return self.results.labels(["id", "cluster_id", "strength"])

    @cached_property
    def cluster(self) -> Int64:
        """Cluster (N,) of every row, numbered 0.. in the order of `names`."""
        return np.unique(schemas.cluster_ids(self.labels["cluster_id"]), return_inverse=True)[1].astype(np.int64)

    @cached_property
    def names(self) -> Int64:
        """Published id (C,) of every cluster; of a row alone a number that no cluster has."""
        return np.unique(schemas.cluster_ids(self.labels["cluster_id"]))

    @cached_property
    def size(self) -> Int64:
        """Rows (C,) of every cluster."""
        return np.bincount(self.cluster).astype(np.int64)

    @cached_property
    def strength(self) -> Float64:
        """Strength (N,) of every row, NaN for rows alone."""
        column = self.labels["strength"].fill_null(np.nan)
        return np.asarray(column.to_numpy(), np.float64)

    @cached_property
    def exit_weight(self) -> float | None:
        """Weight of edges that leave each cluster, summed over clusters.

        None without a table of clusters.
        """
        table = self.results.table("clusters.parquet")
        if table is None:
            return None
        return float(np.nansum(table["outer_weight"].fill_null(0.0).to_numpy()))
