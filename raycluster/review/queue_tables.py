"""Queue tables, RUN/review/KIND.parquet, and the decisions that answers make.

An item has two sides, a and b.

* merge: two clusters. Same: they are one identity. Different: they are two.
* split: two halves of one cluster. Same: the cluster is right. Different: the halves are two identities.
* row: a row in doubt, and rows of its cluster. Same: it belongs there. Different: it does not.
* duplicate: two near copies. Same: both show one identity. Different: they do not.

A side lists the rows that are shown, at most `MOST_SHOWN`. Its end of the bridge comes first: the pair of the highest score
across. Only rows that were shown are decided.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from raycluster.errors import StorageError
from raycluster.storage.object_store import Store
from raycluster.storage.parts import read_parquet

Kind = Literal["merge", "split", "row", "duplicate"]
Answer = Literal["same", "different", "unsure"]
KINDS: tuple[Kind, ...] = ("merge", "split", "row", "duplicate")
MOST_SHOWN = 9
"""Rows of a side that are shown: its end of the bridge and eight of its strongest. More show more and take longer to see."""


def schema(id_type: pa.DataType) -> pa.Schema:
    """Return the columns of a queue.

    Items are numbered in the order in which they should be reviewed. `cluster_a` and `cluster_b` are those of the sides, the
    same one for a split. `ids_a` and `ids_b` are the rows that are shown. `evidence` is a JSON object: numbers and short
    texts by the names under which people read them. `probability` is the chance, 0..1, that the clustering is wrong here.
    It is null without a calibration.
    """
    ids = pa.list_(pa.field("element", id_type, nullable=False))
    return pa.schema(
        [
            pa.field("item", pa.int32(), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
            ("cluster_a", pa.int64()),
            ("cluster_b", pa.int64()),
            pa.field("ids_a", ids, nullable=False),
            pa.field("ids_b", ids, nullable=False),
            pa.field("evidence", pa.string(), nullable=False),
            ("probability", pa.float32()),
        ]
    )


@dataclass(frozen=True)
class QueueItem:
    """One item of a queue."""

    item: int
    kind: Kind
    cluster_a: int | None
    cluster_b: int | None
    ids_a: tuple[Any, ...]
    ids_b: tuple[Any, ...]
    evidence: Mapping[str, float | int | str | None]
    probability: float | None = None


def table_of(items: Sequence[QueueItem], id_type: pa.DataType) -> pa.Table:
    """Return items as a table of `schema`."""
    rows = [{**vars(item), "evidence": json.dumps(dict(item.evidence))} for item in items]
    return pa.Table.from_pylist(rows, schema(id_type))


def items_of(table: pa.Table) -> list[QueueItem]:
    """Return the items of a table of `schema`, in its order."""
    lists = ("ids_a", "ids_b")
    return [
        QueueItem(**{**row, "evidence": json.loads(row["evidence"]), **{name: tuple(row[name]) for name in lists}})
        for row in table.to_pylist()
    ]


def path_of(kind: Kind) -> str:
    """Return where a queue lies below the run folder."""
    return f"review/{kind}.parquet"


def write_queue(store: Store, kind: Kind, table: pa.Table) -> None:
    """Write a queue of one kind into the run folder at `store`.

    Parameters
    ----------
    store
        The run folder.
    kind
        Kind of all its items.
    table
        Of `schema`, the first item first.
    """
    assert set(table["kind"].to_pylist()) <= {kind}, "a queue holds items of one kind"
    store.put_tables(path_of(kind), [table])


def read_queue(store: Store, kind: Kind) -> pa.Table | None:
    """Return a queue of the run folder at `store`; none where it was not made."""
    data = store.get(path_of(kind))
    if data is None:
        return None
    try:
        table = read_parquet(data)
        return table.select(schema(pa.int64()).names)
    except (pa.ArrowInvalid, KeyError) as error:
        raise StorageError(
            f"{store.name(path_of(kind))} was changed or damaged; run raycluster review again."
        ) from error


def decided_pairs(item: QueueItem, answer: Answer) -> list[tuple[Any, Any, bool]]:
    """Return id, id and whether they are the same, for an answer to an item.

    Same ties every row that is shown to the first of side a. Different parts every row of one side from every row of the other.
    Unsure decides nothing. The report's script does the same in the browser.
    """
    if answer == "unsure":
        return []
    if answer == "same":
        first, *rest = dict.fromkeys((*item.ids_a, *item.ids_b))
        return [(first, other, True) for other in rest]
    return [(one, other, False) for one in item.ids_a for other in item.ids_b if one != other]


def decisions_of(item: QueueItem, answer: Answer, by: str, at: datetime) -> list[dict[str, Any]]:
    """Return rows of a decisions table, as `raycluster update --decisions` reads it.

    Parameters
    ----------
    item, answer
        What was decided, and how.
    by
        Who decided.
    at
        When, with a time zone.
    """
    note = f"{item.kind} {item.item}"
    return [
        {"id_a": one, "id_b": other, "same": same, "by": by, "at": at, "note": note}
        for one, other, same in decided_pairs(item, answer)
    ]
