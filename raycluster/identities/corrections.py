"""Corrections of whole clusters as decisions about rows: merge, split, undo.

They change `RUN/decisions.parquet` alone. `raycluster update RUN` puts them in force.
"""

import datetime
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.errors import InputError
from raycluster.identities import decisions
from raycluster.identities.inheritance import NO_ID
from raycluster.identities.lineage import resolved
from raycluster.pipeline.results import Results

FILE = "decisions.parquet"


def merge(run: str, one: int, other: int, by: str | None = None) -> int:
    """Decide that two clusters are one identity; returns the number of decisions.

    Every row is tied to the representative of the larger cluster, so that no row stays behind.

    Parameters
    ----------
    run : str
        Finished run.
    one, other : int
        Cluster ids; a retired one stands for its heir.
    by : str
        Who decides.

    Raises
    ------
    InputError
        The run has no such cluster, or both are the same.
    """
    results = Results.of(run)
    own = in_use(results, one, other)
    if own[0] == own[1]:
        is_retired = "" if one == other else f"; both are cluster {own[0]} now"
        raise InputError(f"Cluster {one} cannot be merged with {'itself' if one == other else other}{is_retired}.")
    labels = results.labels(["id", "cluster_id", "is_representative"])
    rows = [_rows(labels, number, run) for number in own]
    larger = rows[0] if rows[0].num_rows >= rows[1].num_rows else rows[1]
    center = larger.filter(larger["is_representative"])["id"][0]
    ids = pa.chunked_array([chunk for table in rows for chunk in table["id"].chunks])
    ids = ids.filter(pc.not_equal(ids, center))
    centers = pa.array([center.as_py()] * len(ids), ids.type)
    return _add(results, _table(centers, ids, True, by, f"merge {one} {other}"))


def split(run: str, cluster: int, rows: Sequence[str], by: str | None = None) -> int:
    """Decide that rows are another identity; returns the number of decisions.

    The named rows stay together, and each other row of the cluster is kept apart from them.

    Parameters
    ----------
    run : str
        Finished run.
    cluster : int
        Cluster id; a retired one stands for its heir.
    rows : sequence of str
        Ids of the rows that leave it.
    by : str
        Who decides.

    Raises
    ------
    InputError
        The run has no such cluster, a row is not in it, or no row would stay.
    """
    results = Results.of(run)
    (cluster,) = in_use(results, cluster)
    labels = results.labels(["id", "cluster_id", "is_representative"])
    ids = _rows(labels, cluster, run)["id"].combine_chunks()
    try:
        leaving = pc.unique(pa.array(list(rows), pa.string()).cast(ids.type))
    except pa.ArrowInvalid as error:
        raise InputError(f"The ids of {run} are {ids.type}: {error}.") from error
    absent = leaving.filter(pc.invert(pc.is_in(leaving, value_set=ids)))
    if len(absent):
        raise InputError(f"The row {absent[0]} is not in cluster {cluster} of {run}.")
    staying = ids.filter(pc.invert(pc.is_in(ids, value_set=leaving)))
    if len(staying) == 0 or len(leaving) == 0:
        raise InputError(f"A split of cluster {cluster} needs rows that leave and rows that stay.")
    first = leaving.take(pa.array(np.zeros(max(len(staying), len(leaving) - 1), np.int64)))
    note = f"split {cluster}"
    together = _table(first.slice(0, len(leaving) - 1), leaving.slice(1), True, by, note)
    apart = _table(first.slice(0, len(staying)), staying, False, by, note)
    return _add(results, pa.concat_tables([together, apart]))


def undo(run: str) -> int:
    """Take back the latest merge or split of a run; returns the decisions that went.

    Raises InputError where there is no decision.
    """
    results = Results.of(run)
    table = stored(results)
    if table.num_rows == 0:
        raise InputError(f"{run} has no decision to undo.")
    is_latest = pc.equal(table["at"], pc.max(table["at"]))
    kept = table.filter(pc.invert(is_latest))
    results.store.put_tables(FILE, [kept.combine_chunks()])
    return table.num_rows - kept.num_rows


def in_use(results: Results, *ids: int) -> list[int]:
    """Return the ids in use for cluster ids, some of which may be retired."""
    aliases = results.table("aliases.parquet")
    if aliases is None:
        return list(ids)
    own = resolved(aliases, np.array(ids, np.int64)).tolist()
    for name, now in zip(ids, own, strict=True):
        if now == NO_ID:
            raise InputError(f"Cluster {name} of {results.store.url} is retired, and its rows are gone or stand alone.")
    return own


def _rows(labels: pa.Table, cluster: int, run: str) -> pa.Table:
    rows = labels.filter(pc.equal(labels["cluster_id"], cluster))
    if rows.num_rows == 0:
        raise InputError(f"{run} has no cluster {cluster}.")
    return rows


def _table(one: pa.Array, other: pa.Array, same: bool, by: str | None, note: str) -> pa.Table:
    """Decisions about pairs of rows; `at` follows in `_add`."""
    count = len(one)
    other = other.combine_chunks() if isinstance(other, pa.ChunkedArray) else other
    columns = [one, other, pa.array([same] * count, pa.bool_()), pa.array([by] * count, pa.string())]
    at = pa.array([datetime.datetime.now(datetime.UTC)] * count, pa.timestamp("us", tz="UTC"))
    columns += [at, pa.array([note] * count, pa.string())]
    return pa.Table.from_arrays(columns, schema=decisions.schema(one.type))


def _add(results: Results, new: pa.Table) -> int:
    """Write decisions to those of the run, under one time later than any before."""
    table = stored(results)
    latest = pc.max(new["at"])
    if table.num_rows and pc.max(table["at"]).as_py() >= latest.as_py():
        latest = pa.scalar(pc.max(table["at"]).as_py() + datetime.timedelta(microseconds=1), new["at"].type)
    at = pa.array([latest.as_py()] * new.num_rows, new["at"].type)
    new = new.set_column(new.schema.get_field_index("at"), new.schema.field("at"), at)
    results.store.put_tables(FILE, [decisions.added(table, new)])
    return new.num_rows


def stored(results: Results) -> pa.Table:
    """Return the decisions of a run, those not yet in force included."""
    kind = results.labels(["id"])["id"].type
    if results.store.get(FILE) is None:
        return decisions.schema(kind).empty_table()
    return decisions.read(f"{results.store.url}/{FILE}", kind)
