"""A finished run, or an update of one, opened for review.

Shapes: N rows, removed ones included; C clusters.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float64, Int32, Int64
from raycluster.identities.layers import loaded
from raycluster.identities.state import State
from raycluster.kernels.map_equation.aggregate import numbered
from raycluster.pipeline.results import Results
from raycluster.review.pairs import Pairs


@dataclass(frozen=True)
class Opened:
    """What reviews read of a run."""

    state: State
    cluster: Int32
    """(N,) clusters in the order of their lowest row; removed rows are alone."""
    cluster_id: Int64
    """(C,) published id of each cluster, -1 where it has none."""
    strength: Float64
    """(N,) as published; NaN for rows alone."""
    margin: Float64
    """(N,) as published; NaN for rows alone."""

    @classmethod
    def of(cls, run: str) -> "Opened":
        """Open the run folder at `run`. Raises InputError where it holds no finished run."""
        labels = Results.of(run).labels(["id", "cluster_id", "strength", "margin"])
        state = loaded(run)
        alive = np.flatnonzero(state.is_alive)
        assert labels["id"].combine_chunks().equals(state.ids.take(pa.array(alive))), "labels are in the order of rows"
        cluster = clusters_of(state, labels["cluster_id"].fill_null(-1).to_numpy())
        ids = np.full(int(cluster.max(initial=-1)) + 1, -1, np.int64)
        ids[cluster[alive]] = labels["cluster_id"].fill_null(-1).to_numpy()

        def spread(name: str) -> Float64:
            values = np.full(state.num_rows, np.nan)
            values[alive] = labels[name].fill_null(np.nan).to_numpy()
            return values

        return cls(state, cluster, ids, spread("strength"), spread("margin"))

    @cached_property
    def pairs(self) -> Pairs:
        """Pairs that neighbor lists name."""
        return Pairs.of(self.state)

    @cached_property
    def size(self) -> Int64:
        """Rows (C,) of each cluster."""
        return np.bincount(self.cluster[self.state.is_alive], minlength=len(self.cluster_id)).astype(np.int64)

    def published(self, cluster: int) -> int | None:
        """Return the published id of a cluster; none where it has none."""
        number = int(self.cluster_id[cluster])
        return None if number < 0 else number

    @property
    def rows(self) -> Int64:
        """Rows that are there."""
        return np.flatnonzero(self.state.is_alive)


def clusters_of(state: State, published: Int64) -> Int32:
    """Return the clusters (N,) of published ids (A,); -1 is a row alone."""
    alive = np.flatnonzero(state.is_alive)
    cluster = np.full(state.num_rows, -1, np.int64)
    cluster[alive] = published
    alone = np.flatnonzero(cluster < 0)
    cluster[alone] = int(published.max(initial=-1)) + 1 + np.arange(len(alone))
    result = np.unique(cluster, return_inverse=True)[1].astype(np.int32)
    numbered(result)
    return result
