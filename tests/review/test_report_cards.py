"""Cards of clusters and of the queues."""

import pyarrow as pa

from raycluster.review import queue_tables
from raycluster.review.queue_tables import KINDS, QueueItem
from raycluster.review.report_cards import (
    QUESTIONS,
    QUEUE_SHOWN,
    cluster_cards,
    clusters_table,
    id_kind,
    item_card,
    queue_cards,
)
from raycluster.review.shown_clusters import ShownCluster
from raycluster.storage.object_store import Store

CLUSTER = ShownCluster(7, 30, 0.91, (1, 2), (3,), 0.05, (1, 3))


def test_a_card_of_a_cluster_and_its_row_of_the_table():
    card = cluster_cards([CLUSTER])[0]
    assert (card.title, card.facts) == (
        "Cluster 7",
        [("rows", "30"), ("mean strength", "0.91"), ("weakest cut", "5\N{NO-BREAK SPACE}%")],
    )
    assert [name for name, _ in card.groups] == ["strongest", "weakest", "bridge of the weakest cut"]
    table = clusters_table({"largest": [CLUSTER], "random": []}, pa.int64())
    assert table.select(["kind", "cluster_id", "strongest", "bridge"]).to_pylist() == [
        {"kind": "largest", "cluster_id": 7, "strongest": [1, 2], "bridge": [1, 3]}
    ]


def test_every_kind_of_item_has_a_card():
    assert list(QUESTIONS) == list(KINDS)
    for kind in KINDS:
        card = item_card(QueueItem(3, kind, 4, None, ("a",), ("b", "c"), {"gain": 0.25}, 0.75))
        assert card.facts == [(QUESTIONS[kind][3], "0.75"), ("gain", "0.25")]
        assert card.answer == {"kind": kind, "item": 3, "a": ["a"], "b": ["b", "c"]}


def test_the_first_items_of_the_queues_that_were_made(tmp_path):
    store = Store(str(tmp_path))
    assert queue_cards(store) == {}
    items = [QueueItem(number, "row", 1, 1, (number,), (100,), {}) for number in range(QUEUE_SHOWN + 3)]
    queue_tables.write_queue(store, "row", queue_tables.table_of(items, pa.int64()))
    queues = queue_cards(store)
    assert [(kind, len(cards), total) for kind, (cards, total) in queues.items()] == [
        ("row", QUEUE_SHOWN, QUEUE_SHOWN + 3)
    ]
    assert [card.answer["item"] for card in queues["row"][0]] == list(range(QUEUE_SHOWN))


def test_how_ids_are_written():
    kinds = [id_kind(kind) for kind in (pa.int32(), pa.uint64(), pa.large_string(), pa.binary())]
    assert kinds == ["number", "number", "text", "bytes"]
