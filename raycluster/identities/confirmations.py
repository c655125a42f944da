"""Clusters that people have confirmed.

Their ids win over others, and two of them never merge by themselves.

    RUN/confirmed.parquet: cluster_id
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Int64
from raycluster.errors import InputError
from raycluster.identities.corrections import in_use
from raycluster.pipeline.results import Results
from raycluster.storage.object_store import Store

FILE = "confirmed.parquet"
"""People go on writing it, so no manifest names it."""


def confirm(run: str, clusters: Sequence[int], is_withdrawn: bool = False) -> int:
    """Confirm clusters, or withdraw that; returns how many are confirmed now.

    Parameters
    ----------
    run : str
        Finished run.
    clusters : sequence of int
        Cluster ids; a retired one stands for its heir.
    is_withdrawn : bool
        Whether they are no longer confirmed.

    Raises
    ------
    InputError
        The run has no such cluster, or a cluster of one row.
    """
    results = Results.of(run)
    names = in_use(results, *clusters)
    labels = results.labels(["cluster_id", "cluster_size"])
    for name in names:
        size = pc.max(labels.filter(pc.equal(labels["cluster_id"], name))["cluster_size"]).as_py()
        if size is None or size < 2:
            raise InputError(f"{run} has no cluster {name}{'' if size is None else ' of two rows or more'}.")
    before = confirmed_in(results.store)
    own = np.empty(0, np.int64) if before is None else before
    own = np.setdiff1d(own, names) if is_withdrawn else np.union1d(own, names)
    write(results.store, own)
    return len(own)


def confirmed_in(run: Store) -> Int64 | None:
    """Return the ids that are confirmed in a run folder, ascending.

    None where nobody has confirmed or withdrawn one. Raises InputError where the file holds something else.
    """
    if run.get(FILE) is None:
        return None
    with run.parquet(FILE) as file:
        table = file.read()
    if table.column_names != ["cluster_id"] or not pa.types.is_integer(table["cluster_id"].type):
        raise InputError(f"{run.name(FILE)} needs one column, cluster_id, of whole numbers.")
    return np.unique(table["cluster_id"].drop_null().to_numpy()).astype(np.int64)


def write(run: Store, ids: Int64) -> None:
    """Write the ids (M,) that are confirmed in a run folder."""
    run.put_tables(FILE, [pa.table({"cluster_id": pa.array(ids, pa.int64())})])
