"""A review that saves, undoes, goes on where it stopped, and puts its decisions in force."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.errors import InputError
from raycluster.identities.corrections import merge
from raycluster.review.items import ItemOptions
from raycluster.review.session import Session
from support import tiny
from support.runs import labels


@pytest.fixture
def run(tmp_path):
    tiny.run(tmp_path, "cosine")
    return str(tmp_path / "run")


def decided(run):
    table = pq.read_table(f"{run}/decisions.parquet").to_pylist()
    return {(row["id_a"], row["id_b"], row["same"]) for row in table}


def test_an_answer_is_saved_as_decisions_about_the_rows_that_were_shown(run):
    session = Session(run, by="ann", most=20)
    item = session.queues["merge"][0]
    session.answer("merge", 0, "different")
    expected = {(min(a, b), max(a, b), False) for a in item.ids_a for b in item.ids_b}
    assert decided(run) == expected
    assert session.progress()["decisions"] == len(expected)
    assert session.progress()["queues"]["merge"] == {"items": 20, "answered": 1}


def test_undo_takes_the_latest_answer_back(run):
    session = Session(run, most=20)
    session.answer("merge", 0, "different")
    before = decided(run)
    session.answer("split", 0, "same")
    assert session.undo() == ("split", 0)
    assert decided(run) == before
    assert session.undo() == ("merge", 0)
    assert session.undo() is None
    assert decided(run) == set()


def test_unsure_decides_nothing_and_is_not_asked_again(run):
    session = Session(run, most=20)
    assert session.next_of("row") == 0
    session.answer("row", 0, "unsure")
    assert decided(run) == set()
    assert session.next_of("row") == 1
    assert session.item("row", 0)["answer"] == "unsure"


def test_a_review_goes_on_where_it_stopped(run):
    session = Session(run, most=20)
    session.answer("merge", 3, "same")
    again = Session(run, most=20)
    assert again.queues == session.queues
    assert again.answers == session.answers
    again.answer("merge", 4, "different")
    assert again.progress()["queues"]["merge"]["answered"] == 2


def test_decisions_from_before_stay(run):
    merge(run, 0, 1)
    before = decided(run)
    session = Session(run, most=20)
    session.answer("split", 0, "same")
    assert decided(run) > before
    session.undo()
    assert decided(run) == before


def test_apply_puts_answers_in_force_and_goes_on_there(run, tmp_path):
    session = Session(run, most=20)
    item = session.queues["merge"][0]
    session.answer("merge", 0, "same")
    session.apply(str(tmp_path / "next"))
    cluster = dict(zip(*(labels(tmp_path / "next")[name].to_pylist() for name in ("id", "cluster_id")), strict=True))
    assert len({cluster[row] for row in (*item.ids_a, *item.ids_b)}) == 1
    assert session.run == str(tmp_path / "next")
    assert session.progress()["queues"]["merge"]["answered"] == 0
    asked = {(*one.ids_a, *one.ids_b) for one in session.queues["merge"]}
    assert not any(set(item.ids_a) <= set(rows) and set(item.ids_b) <= set(rows) for rows in asked)


def test_items_have_the_texts_of_the_user(run, tmp_path):
    titles = [f"title <b>{row}</b>" for row in range(tiny.ROWS)]
    pq.write_table(pa.table({"id": range(tiny.ROWS), "title": titles}), tmp_path / "items.parquet")
    session = Session(run, ItemOptions(str(tmp_path / "items.parquet"), "id", text_column="title"), most=5)
    shown = session.item("merge", 0)
    assert [row["text"] for _, rows in shown["groups"] for row in rows] == [
        titles[int(row["id"])] for _, rows in shown["groups"] for row in rows
    ]


def test_mistakes_have_sentences(run):
    session = Session(run, most=5)
    with pytest.raises(InputError, match="no item 99"):
        session.answer("merge", 99, "same")
    with pytest.raises(InputError, match="no answer 'perhaps'"):
        session.answer("merge", 0, "perhaps")
