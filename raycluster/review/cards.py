"""Rows on a page: a card per cluster or queue item, with a sprite of its tiles.

Sprites take most of a report. Cards get them in order until the report would exceed its size.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from raycluster.review.items import Items
from raycluster.review.pictures import Pictures
from raycluster.review.thumbnails import Tile, sprite, tile

FULL = "left out: the report is full"


@dataclass(frozen=True)
class Shown:
    """One row on a card."""

    id: str
    text: str | None = None
    reason: str | None = None
    """Why there is a gray tile in place of its picture."""
    place: int | None = None
    """Which tile of the card's sprite it is; none without a picture."""


@dataclass
class Card:
    """A cluster or a queue item on a page."""

    title: str
    facts: Sequence[tuple[str, str]]
    groups: Sequence[tuple[str, tuple[Any, ...]]]
    """Names of groups of rows, and the ids of each."""
    shown: list[tuple[str, list[Shown]]] = field(default_factory=list)
    """The groups as they are drawn; `Shelf.fill` makes them."""
    number: int = 0
    """Number of its sprite on the page."""
    sprite: str | None = None
    """Its sprite, as base64 WebP."""
    answer: dict[str, Any] | None = None
    """For items of a queue: what the script needs to make decisions of an answer."""


class Shelf:
    """Everything that cards show, taken from the user's items once."""

    def __init__(self, items: Items | None, budget: int) -> None:
        self._items, self.left = items, budget
        self._texts: dict[Any, str | None] = {}
        self._tiles: dict[Any, Tile] = {}

    @property
    def has_pictures(self) -> bool:
        """Whether cards have tiles."""
        return self._items is not None and self._items.options.image_column is not None

    def take(self, cards: Iterable[Card], id_type: pa.DataType) -> None:
        """Read the items of all cards.

        Every picture becomes a tile at once, so memory stays small.
        """
        ids = dict.fromkeys(key for card in cards for _, keys in card.groups for key in keys)
        if self._items is None:
            return
        options = self._items.options
        read = Pictures(options.root, fetch=options.fetch).read
        for key, item in self._items.stream(pa.array(list(ids), id_type)):
            if key not in self._texts:
                self._texts[key] = item.text
                if self.has_pictures:
                    self._tiles[key] = tile(read, item.picture)

    def fill(self, card: Card, number: int) -> None:
        """Draw the card of a number: its rows, and its sprite while there is room."""
        card.number = number
        keys = list(dict.fromkeys(key for _, keys in card.groups for key in keys))
        tiles = [self._tiles.get(key, Tile(None, "not among the items")) for key in keys]
        reasons = {key: one.reason for key, one in zip(keys, tiles, strict=True)}
        places: dict[Any, int] = {}
        if self.has_pictures:
            drawn = [(key, one) for key, one in zip(keys, tiles, strict=True) if one.image is not None]
            encoded = base64.b64encode(sprite([one for _, one in drawn])).decode() if drawn else ""
            if len(encoded) <= self.left:
                self.left -= len(encoded)
                card.sprite = encoded or None
                places = {key: place for place, (key, _) in enumerate(drawn)}
            else:
                reasons |= {key: FULL for key, _ in drawn}
        card.shown = [
            (name, [self._shown(key, reasons.get(key), places.get(key)) for key in keys]) for name, keys in card.groups
        ]

    def _shown(self, key: Any, reason: str | None, place: int | None) -> Shown:
        """Return one row as it is drawn."""
        return Shown(id_words(key), self._texts.get(key), reason if self.has_pictures else None, place)


def id_words(key: Any) -> str:
    """Return an id as text; bytes as hexadecimal digits."""
    return key.hex() if isinstance(key, bytes) else str(key)
