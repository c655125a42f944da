"""Cards: tiles, texts, and a bounded number of sprites."""

import base64
import io

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from raycluster.review.cards import FULL, Card, Shelf, id_words
from raycluster.review.items import ItemOptions, Items
from raycluster.review.thumbnails import SIDE


def shelf(folder, budget=10**6, **columns):
    pq.write_table(pa.table(columns), folder / "items.parquet")
    image = "image" if "image" in columns else None
    text = "text" if "text" in columns else None
    return Shelf(Items(ItemOptions(str(folder / "items.parquet"), "id", image, text)), budget)


def picture(color):
    buffer = io.BytesIO()
    Image.new("RGB", (50, 50), color).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_row_on_two_groups_has_one_tile(tmp_path):
    card = Card("A", [], [("strongest", (1, 2)), ("bridge", (2, 3))])
    one = shelf(tmp_path, id=[1, 2, 3], image=[picture("red"), picture("blue"), b"broken"], text=["a", "b", "c"])
    one.take([card], pa.int64())
    one.fill(card, 4)
    places = [(name, [(row.id, row.place, row.reason, row.text) for row in rows]) for name, rows in card.shown]
    assert places == [
        ("strongest", [("1", 0, None, "a"), ("2", 1, None, "b")]),
        ("bridge", [("2", 1, None, "b"), ("3", None, "no readable picture", "c")]),
    ]
    assert Image.open(io.BytesIO(base64.b64decode(card.sprite))).size == (2 * SIDE, SIDE)
    assert card.number == 4


def test_a_full_report_leaves_sprites_out_and_gives_the_reason(tmp_path):
    cards = [Card("A", [], [("rows", (1,))]), Card("B", [], [("rows", (2,))])]
    one = shelf(tmp_path, id=[1, 2], image=[picture("red"), picture("blue")])
    one.take(cards, pa.int64())
    one.fill(cards[0], 0)
    left = one.left
    one.left = 10
    one.fill(cards[1], 1)
    assert [card.sprite is not None for card in cards] == [True, False]
    assert cards[1].shown[0][1][0].reason == FULL
    assert left == 10**6 - len(cards[0].sprite)
    assert one.left == 10


def test_texts_alone_have_no_tiles(tmp_path):
    card = Card("A", [], [("rows", ("x", "y"))])
    one = shelf(tmp_path, id=["x"], text=["<b>"])
    one.take([card], pa.string())
    one.fill(card, 0)
    assert [(row.id, row.text, row.reason) for row in card.shown[0][1]] == [("x", "<b>", None), ("y", None, None)]


def test_without_items_ids_are_shown():
    card = Card("A", [], [("rows", (b"\x01\xff",))])
    one = Shelf(None, 100)
    one.take([card], pa.binary())
    one.fill(card, 0)
    assert [row.id for row in card.shown[0][1]] == ["01ff"]
    assert (id_words(17), card.sprite) == ("17", None)
