"""A review of a run: its queues, answers, undo, and the update at the end.

Answers are saved as they are made. `RUN/decisions.parquet` holds what they decide, with what was there before, and
`RUN/review/answers.json` holds the answers themselves, so that a review goes on where it stopped.
"""

import datetime
import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raycluster.errors import InputError
from raycluster.identities import decisions
from raycluster.identities.corrections import FILE, stored
from raycluster.identities.job import Order, update_run
from raycluster.pipeline.results import Results
from raycluster.review.cards import Shelf
from raycluster.review.items import ItemOptions, Items
from raycluster.review.queue_tables import KINDS, Answer, Kind, QueueItem, decisions_of, items_of, read_queue
from raycluster.review.queues import MOST_ITEMS, make_queues
from raycluster.review.report_cards import QUESTIONS, item_card
from raycluster.storage.object_store import Store

ANSWERS = "review/answers.json"
CHOICES: tuple[Answer, ...] = ("same", "different", "unsure")
PICTURE_BYTES = 2**20
"""Most bytes of the pictures of one item, 1 MiB; eighteen tiles take a tenth of it."""
Place = tuple[Kind, int]
"""A queue, and the number of an item in it."""


@dataclass(frozen=True)
class Given:
    """One answer."""

    answer: Answer
    at: str
    """When, in ISO 8601."""


class Session:
    """A review of one run.

    Parameters
    ----------
    run : str
        Folder of a finished run, or of an update of one.
    items : ItemOptions, optional
        Pictures or texts to show; none shows ids.
    by : str, optional
        Who decides.
    most : int
        Items per queue at most.

    Raises
    ------
    InputError
        The run is not finished, or the items cannot be shown.
    """

    def __init__(
        self, run: str, items: ItemOptions | None = None, by: str | None = None, most: int = MOST_ITEMS
    ) -> None:
        self.run, self.by, self.most = run, by, most
        self._items = None if items is None else Items(items)
        self._open(run)

    def _open(self, run: str) -> None:
        """Read the queues of a run, and the answers it has."""
        self.run, self.store = run, Store(run)
        results = Results.of(run)
        self._id_type = results.labels(["id"])["id"].type
        record = _read(self.store)
        # The queues that were answered stay, so that numbers mean the same items; new ones are made for a new review.
        if record is None or any(read_queue(self.store, kind) is None for kind in KINDS):
            self.queues = make_queues(run, self.most)
            record = {"answers": []}
            self._earlier = stored(results)
            self.store.put_tables("review/earlier_decisions.parquet", [self._earlier])
        else:
            self.queues = {kind: _items_of(self.store, kind) for kind in KINDS}
            self._earlier = decisions.read(f"{self.store.url}/review/earlier_decisions.parquet", self._id_type)
        self.answers: dict[Place, Given] = {
            (one["kind"], one["item"]): Given(one["answer"], one["at"]) for one in record["answers"]
        }

    def progress(self) -> dict[str, Any]:
        """Return items and answers per queue, JSON-ready."""
        counts = {
            kind: {"items": len(queue), "answered": sum(place[0] == kind for place in self.answers)}
            for kind, queue in self.queues.items()
        }
        return {"run": self.run, "queues": counts, "decisions": self._table().num_rows - self._earlier.num_rows}

    def next_of(self, kind: Kind, after: int = -1) -> int | None:
        """Return the first item after a number that has no answer, if any."""
        numbers = (item.item for item in self.queues[kind])
        return next((number for number in numbers if number > after and (kind, number) not in self.answers), None)

    def item(self, kind: Kind, number: int) -> dict[str, Any]:
        """Return what is shown of an item, JSON-ready.

        Raises InputError where there is no such item.
        """
        found = self._item(kind, number)
        card = item_card(found)
        shelf = Shelf(self._items, PICTURE_BYTES)
        shelf.take([card], self._id_type)
        shelf.fill(card, 0)
        question, same, different, _ = QUESTIONS[kind]
        answer = self.answers.get((kind, number))
        return {
            "kind": kind,
            "item": number,
            "title": card.title,
            "question": question,
            "same": same,
            "different": different,
            "facts": list(card.facts),
            "sprite": card.sprite,
            "groups": [[name, [vars(one) for one in rows]] for name, rows in card.shown],
            "answer": None if answer is None else answer.answer,
        }

    def answer(self, kind: Kind, number: int, answer: Answer) -> None:
        """Save an answer.

        Parameters
        ----------
        kind, number
            Queue and item.
        answer
            One of `CHOICES`.

        Raises
        ------
        InputError
            There is no such item or answer.
        """
        self._item(kind, number)
        if answer not in CHOICES:
            raise InputError(f"There is no answer '{answer}'; the answers are {', '.join(CHOICES)}.")
        self.answers.pop((kind, number), None)  # the latest answer comes last
        self.answers[kind, number] = Given(answer, datetime.datetime.now(datetime.UTC).isoformat())
        self._save()

    def undo(self) -> Place | None:
        """Take back the latest answer; returns its item, or none where there is no answer."""
        if not self.answers:
            return None
        place, _ = self.answers.popitem()
        self._save()
        return place

    def apply(self, output: str) -> dict[str, Any]:
        """Update the run with all decisions into another folder, and go on there.

        Where answers contradict each other, the later one holds.

        Raises
        ------
        InputError
            There is nothing to put in force.
        ConfigError
            The output belongs to a run.
        """
        self._save()
        summary = update_run(self.run, output, Order(on_conflict="newest"))
        self._open(output)
        return summary

    def _item(self, kind: Kind, number: int) -> QueueItem:
        queue = self.queues.get(kind, [])
        if not 0 <= number < len(queue):
            raise InputError(f"The queue {kind} has no item {number}.")
        return queue[number]

    def _table(self) -> pa.Table:
        """All decisions: those from before the review, and those of the answers."""
        rows = [
            row
            for place, one in self.answers.items()
            for row in decisions_of(
                self._item(*place), one.answer, self.by or "", datetime.datetime.fromisoformat(one.at)
            )
        ]
        return decisions.added(self._earlier, pa.Table.from_pylist(rows, decisions.schema(self._id_type)))

    def _save(self) -> None:
        """Write decisions first, then the answers that they follow from."""
        self.store.put_tables(FILE, [self._table()])
        answers = [{"kind": kind, "item": number, **vars(one)} for (kind, number), one in self.answers.items()]
        self.store.put(ANSWERS, json.dumps({"answers": answers}).encode())


def _read(store: Store) -> dict[str, Any] | None:
    data = store.get(ANSWERS)
    return None if data is None else dict(json.loads(data))


def _items_of(store: Store, kind: Kind) -> list[QueueItem]:
    table = read_queue(store, kind)
    assert table is not None, "all queues are there"
    return items_of(table)
