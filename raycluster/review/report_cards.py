"""Cards of single clusters and of the queues, and the table of these clusters."""

from collections.abc import Sequence
from dataclasses import asdict

import pyarrow as pa

from raycluster.review.cards import Card, id_words
from raycluster.review.queue_tables import KINDS, Kind, QueueItem, items_of, read_queue
from raycluster.review.section import share, words
from raycluster.review.shown_clusters import ShownCluster
from raycluster.storage.object_store import Store

QUEUE_SHOWN = 25
"""Items of a queue that the report shows. More enlarge it; `raycluster review` goes through all."""
QUESTIONS: dict[Kind, tuple[str, str, str, str]] = {
    "merge": ("Are these two clusters one identity?", "one identity", "two identities", "P(merge)"),
    "split": ("Do both halves of this cluster show one identity?", "one identity", "two identities", "P(split)"),
    "row": ("Does this row belong to its cluster?", "it belongs", "it does not", "P(wrong)"),
    "duplicate": ("Do these near copies show one identity?", "the same", "not the same", "P(same)"),
}
"""Of every kind: the question, what same and different mean, and the name of its probability."""


def cluster_cards(clusters: Sequence[ShownCluster]) -> list[Card]:
    """Return a card per cluster."""
    cards = []
    for one in clusters:
        facts = [
            ("rows", words(one.size)),
            ("mean strength", words(one.mean_strength)),
            ("weakest cut", share(one.cut) or words(None)),
        ]
        groups = [("strongest", one.strongest), ("weakest", one.weakest), ("bridge of the weakest cut", one.bridge)]
        cards.append(Card(f"Cluster {one.cluster_id}", facts, [(name, ids) for name, ids in groups if ids]))
    return cards


def clusters_table(kinds: dict[str, Sequence[ShownCluster]], id_type: pa.DataType) -> pa.Table:
    """Return the clusters that the report shows, with the ids of their rows."""
    ids = pa.list_(id_type)
    schema = pa.schema(
        [("kind", pa.string()), ("cluster_id", pa.int64()), ("size", pa.int64()), ("mean_strength", pa.float32()),
         ("strongest", ids), ("weakest", ids), ("cut", pa.float32()), ("bridge", ids)]
    )  # fmt: skip
    rows = [{"kind": kind, **asdict(one)} for kind, clusters in kinds.items() for one in clusters]
    return pa.Table.from_pylist(rows, schema)


def queue_cards(store: Store) -> dict[Kind, tuple[list[Card], int]]:
    """Return the first cards of every queue, and how many items it has.

    Queues that were not made are left out.
    """
    queues: dict[Kind, tuple[list[Card], int]] = {}
    for kind in KINDS:
        table = read_queue(store, kind)
        if table is not None:
            first = items_of(table.slice(0, QUEUE_SHOWN))
            queues[kind] = ([item_card(item) for item in first], table.num_rows)
    return queues


def item_card(item: QueueItem) -> Card:
    """Return the card of an item of a queue."""
    facts = [(name, words(value)) for name, value in item.evidence.items()]
    if item.probability is not None:
        facts.insert(0, (QUESTIONS[item.kind][3], words(float(item.probability))))
    sides = {
        "merge": (f"cluster {item.cluster_a}", f"cluster {item.cluster_b}"),
        "split": ("one half", "the other half"),
        "row": ("the row", f"cluster {item.cluster_b if item.cluster_b is not None else item.cluster_a}"),
        "duplicate": ("one", "its near copies"),
    }[item.kind]
    names = {
        "merge": f"Clusters {item.cluster_a} and {item.cluster_b}",
        "split": f"Cluster {item.cluster_a}",
        "row": f"Row {id_words(item.ids_a[0]) if item.ids_a else ''}",
        "duplicate": f"Copies of {id_words(item.ids_a[0]) if item.ids_a else ''}",
    }
    groups = [(side, ids) for side, ids in zip(sides, (item.ids_a, item.ids_b), strict=True) if ids]
    card = Card(names[item.kind], facts, groups)
    card.answer = {
        "kind": item.kind,
        "item": item.item,
        "a": [id_words(key) for key in item.ids_a],
        "b": [id_words(key) for key in item.ids_b],
    }
    return card


def id_kind(id_type: pa.DataType) -> str:
    """Return how the script writes ids: as numbers, text or bytes."""
    if pa.types.is_integer(id_type):
        return "number"
    return "bytes" if pa.types.is_binary(id_type) or pa.types.is_large_binary(id_type) else "text"
