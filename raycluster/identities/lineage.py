"""The events that led from one clustering to the next, and ids of former ones.

    created    an id that is new                              rows: its size
    grown      rows joined an id that were new or alone       rows: these
    shrunk     rows of an id are gone or alone                rows: these
    merged     an id is retired, most of it is in another     rows: that went there
    split      rows of an id that stays have a new id         rows: these
    moved      rows went from one id to another old one       rows: these
    retired    an id is retired and no other id has its rows  rows: 0
    restored   a retired id is back                           rows: from the id that had most of them

Nothing changed: no events.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array, Bool, Int32, Int64
from raycluster.identities.inheritance import NO_ID, Before, Inheritance, overlaps

EVENTS = ("created", "grown", "shrunk", "merged", "split", "moved", "retired", "restored")
LINEAGE = pa.schema(
    [
        ("run", pa.string()),
        ("event", pa.string()),
        ("old_id", pa.int64()),
        ("new_id", pa.int64()),
        ("rows", pa.int64()),
        ("old_size", pa.int64()),
        ("new_size", pa.int64()),
    ]
)
ALIASES = pa.schema([("id", pa.int64()), ("into", pa.int64()), ("run", pa.string())])


@dataclass(frozen=True)
class Summary:
    """What became of the old clusters with surviving rows; rows alone are clusters."""

    unchanged: int
    """Exactly the same surviving rows are one cluster."""
    merged: int
    """All in one cluster, with others."""
    partitioned: int
    """In several clusters, without others."""
    overlapping: int
    """In several clusters, with others in some."""


@dataclass(frozen=True)
class Churn:
    """Surviving rows that have another id than before, and the least that had to."""

    changed: int
    minimum: int
    """What the greedy assignment by overlap alone changes."""

    @property
    def avoidable(self) -> int:
        """Changes that confirmed ids cost: 0 without them.

        Below 0 where the greedy assignment is not the best one.
        """
        return self.changed - self.minimum


def events(before: Before, cluster: Int32, after: Inheritance, run: str) -> pa.Table:
    """Return the events in the order of `EVENTS`, then of ids (`LINEAGE`).

    Parameters
    ----------
    before : Before
        Ids that rows had.
    cluster : (N,) int32
        New clusters.
    after : Inheritance
        Their ids.
    run : str
        Name of the new run.
    """
    shared = overlaps(before.row_id, cluster)
    new_id = after.ids[shared.cluster]
    crossing = np.flatnonzero((shared.id != new_id) & (new_id != NO_ID))
    old, new, rows = shared.id[crossing], new_id[crossing], shared.rows[crossing]
    ids, size = _sizes(after, cluster)
    is_heir = _at(after.retired, after.heir, old, NO_ID) == new
    kind = np.full(len(old), "moved", dtype=object)
    kind[np.isin(new, after.created) & ~np.isin(old, after.retired)] = "split"
    kind[is_heir] = "merged"
    most = _largest(new, rows, old)
    kind[most & np.isin(new, after.restored)] = "restored"
    gone = after.retired[after.heir == NO_ID]
    lonely = np.setdiff1d(after.restored, new)
    columns: list[tuple[Array | str, Int64 | int, Int64 | int, Int64]] = [
        (kind, old, new, rows),
        ("created", NO_ID, after.created, _at(ids, size, after.created, 0)),
        ("retired", gone, NO_ID, np.zeros(len(gone), np.int64)),
        ("restored", NO_ID, lonely, np.zeros(len(lonely), np.int64)),
        *_gains_and_losses(before, ids, size, shared.id, new_id, shared.rows),
    ]
    pieces = [_piece(*column) for column in columns]
    names, old, new, rows = (np.concatenate(column) for column in zip(*pieces, strict=True))
    order = np.lexsort((new, old, np.array([EVENTS.index(name) for name in names], np.int64)))
    names, old, new, rows = names[order], old[order], new[order], rows[order]
    return pa.table(
        {
            "run": pa.array([run] * len(names), pa.string()),
            "event": pa.array(names, pa.string()),
            "old_id": pa.array(old, mask=old == NO_ID),
            "new_id": pa.array(new, mask=new == NO_ID),
            "rows": rows,
            "old_size": pa.array(_at(before.ids, before.sizes, old, 0), mask=old == NO_ID),
            "new_size": pa.array(_at(ids, size, new, 0), mask=new == NO_ID),
        },
        LINEAGE,
    )


def _piece(name: Array | str, old: Int64 | int, new: Int64 | int, rows: Int64) -> tuple[Array, Int64, Int64, Int64]:
    """One kind of events as columns of one length."""
    count = len(rows)
    names = np.full(count, name, dtype=object) if isinstance(name, str) else name
    return names, np.broadcast_to(old, count), np.broadcast_to(new, count), rows


def _sizes(after: Inheritance, cluster: Int32) -> tuple[Int64, Int64]:
    """Ids of today, ascending, and their rows."""
    has = np.flatnonzero(after.ids != NO_ID)
    has = has[np.argsort(after.ids[has])]
    return after.ids[has], np.bincount(cluster, minlength=len(after.ids))[has]


def _at(keys: Int64, values: Int64, some: Int64, missing: int) -> Int64:
    """The value of each of `some` keys; `keys` are ascending."""
    if len(keys) == 0:
        return np.full(len(some), missing, np.int64)
    place = np.minimum(np.searchsorted(keys, some), len(keys) - 1)
    return np.where(keys[place] == some, values[place], missing)


def _largest(group: Int64, rows: Int64, old: Int64) -> Bool:
    """Which entry of each group has most rows; ties to the lower old id."""
    order = np.lexsort((old, -rows, group))
    result = np.zeros(len(group), bool)
    result[order[np.unique(group[order], return_index=True)[1]]] = True
    return result


def _gains_and_losses(
    before: Before, ids: Int64, size: Int64, old: Int64, new: Int64, rows: Int64
) -> list[tuple[str, Int64, Int64, Int64]]:
    """Grown and shrunk: rows that came from no id, and rows that went to none."""
    stay = np.intersect1d(before.ids, ids)
    came, went = np.zeros(len(stay), np.int64), np.zeros(len(stay), np.int64)
    into = np.isin(new, stay)
    np.add.at(came, np.searchsorted(stay, new[into]), rows[into])
    out = np.isin(old, stay) & (new != NO_ID)
    np.add.at(went, np.searchsorted(stay, old[out]), rows[out])
    grown, shrunk = _at(ids, size, stay, 0) - came, _at(before.ids, before.sizes, stay, 0) - went
    more, less = grown > 0, shrunk > 0
    return [("grown", stay[more], stay[more], grown[more]), ("shrunk", stay[less], stay[less], shrunk[less])]


def summary(before: Before, cluster: Int32) -> Summary:
    """Return how many old clusters stayed, merged, were partitioned, or overlap."""
    rows = np.flatnonzero(~before.is_new)
    alone = before.row_id[rows] == NO_ID
    name = np.where(alone, int(before.next_id) + np.arange(len(rows)), before.row_id[rows])
    shared = overlaps(name, cluster[rows])
    surviving = np.bincount(cluster[rows], minlength=int(cluster.max(initial=-1)) + 1)
    is_pure = surviving[shared.cluster] == shared.rows
    _, first, clusters = np.unique(shared.id, return_index=True, return_counts=True)
    pure = np.add.reduceat(is_pure, first) if len(first) else np.empty(0, np.int64)
    one, all_pure = clusters == 1, pure == clusters
    return Summary(
        int((one & all_pure).sum()),
        int((one & ~all_pure).sum()),
        int((~one & all_pure).sum()),
        int((~one & ~all_pure).sum()),
    )


def churn(before: Before, cluster: Int32, after: Inheritance, greedy: Inheritance) -> Churn:
    """Return how many surviving rows changed their id.

    Parameters
    ----------
    before : Before
        Ids that rows had.
    cluster : (N,) int32
        New clusters.
    after : Inheritance
        Their ids.
    greedy : Inheritance
        The ids by overlap alone: nothing confirmed, nothing restored.
    """
    had = before.row_id != NO_ID
    changed = int((after.of_rows(cluster)[had] != before.row_id[had]).sum())
    return Churn(changed, int((greedy.of_rows(cluster)[had] != before.row_id[had]).sum()))


def aliases(table: pa.Table, after: Inheritance, run: str) -> pa.Table:
    """Return the aliases (`ALIASES`) with those of a further run.

    Restored ids have none.

    Parameters
    ----------
    table : pa.Table
        Aliases so far.
    after : Inheritance
        Retired and restored ids.
    run : str
        Name of the run.
    """
    stay = ~np.isin(table["id"].to_numpy(), after.restored)
    more = {
        "id": after.retired,
        "into": pa.array(after.heir, mask=after.heir == NO_ID),
        "run": pa.array([run] * len(after.retired), pa.string()),
    }
    return pa.concat_tables([table.filter(pa.array(stay)), pa.table(more, ALIASES)]).sort_by("id").combine_chunks()


def resolved(table: pa.Table, ids: Int64) -> Int64:
    """Return the id in use for each of `ids`: itself, or the heir of its heirs.

    It is `NO_ID` where the rows are gone.
    """
    keys, into = table["id"].to_numpy(), table["into"].fill_null(NO_ID).to_numpy()
    result = np.asarray(ids, np.int64).copy()
    while True:
        following = np.where(result == NO_ID, NO_ID, _at(keys, into, result, -2))
        following = np.where(following == -2, result, following)
        if np.array_equal(following, result):
            return result
        result = following
