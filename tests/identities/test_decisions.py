"""The table of decisions."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.errors import InputError
from raycluster.identities import decisions
from support.decided import decided

PAIRS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans(), st.integers(0, 5)).filter(
        lambda one: one[0] != one[1]
    ),
    max_size=12,
)


@given(PAIRS, st.randoms())
def test_the_order_of_decisions_has_no_influence(pairs, random):
    empty = decided([])
    shuffled = [(b, a, same, at) if random.random() < 0.5 else (a, b, same, at) for a, b, same, at in pairs]
    random.shuffle(shuffled)
    assert decisions.added(empty, decided(pairs)).equals(decisions.added(empty, decided(shuffled)))


@given(PAIRS, PAIRS)
def test_adding_and_undoing_gives_the_start(pairs, more):
    start = decisions.added(decided([]), decided(pairs))
    there = {frozenset(pair[:2]) for pair in pairs}
    new = [pair for pair in more if frozenset(pair[:2]) not in there]
    after = decisions.added(start, decided(new))
    assert after.num_rows == start.num_rows + len({(frozenset(pair[:2]), pair[2]) for pair in new})
    assert decisions.undone(after, [(pair[1], pair[0]) for pair in new]).equals(start)


def test_an_equal_decision_counts_once_as_the_newest():
    table = decisions.added(decided([(3, 1, True, 5)]), decided([(1, 3, True, 7), (1, 3, False, 2)]))
    rows = [(row["id_a"], row["id_b"], row["same"], row["at"].day) for row in table.to_pylist()]
    assert rows == [(1, 3, False, 3), (1, 3, True, 8)]


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
def test_ids_become_rows(kind, monkeypatch):
    monkeypatch.setattr(decisions, "ROWS_PER_CALL", 3)
    ids = pa.array([10, 20, 30, 40, 50, 60, 70]).cast(kind)
    table = decided([(50, 20, True, 1), (70, 10, False, 2), (10, 11, True, 3)], kind)
    found = decisions.in_rows(table, ids)
    assert (found.one.tolist(), found.other.tolist(), found.same.tolist()) == ([1, 0], [4, 6], [True, False])
    assert (found.place.tolist(), found.num_absent) == ([0, 1], 1)
    assert np.diff(found.at).tolist() == [86_400_000_000]


@given(st.permutations(range(9)), st.sets(st.integers(0, 8)), st.integers(0, 4))
def test_rows_are_found_in_any_order_of_ids(order, absent, split):
    """Rows of updates follow those before, and ids of removed rows are null; decisions may come in chunks."""
    ids = pa.array([None if own in absent else 10 * own for own in order], pa.int64())
    pairs = [(80, 0, True, 1), (10, 70, False, 2), (20, 60, True, 0), (30, 50, False, 3)]
    table = pa.concat_tables([decided(pairs[:split]), decided(pairs[split:])])
    found = decisions.in_rows(table, ids)
    row = {own: at for at, own in enumerate(ids.to_pylist()) if own is not None}
    expected = [
        (min(row[a], row[b]), max(row[a], row[b]), same, day, place)
        for place, (a, b, same, day) in enumerate(pairs)
        if a in row and b in row
    ]
    first = decisions.in_rows(decided([(0, 1, True, 0)]), pa.array([0, 1])).at[0]
    days = (found.at - first) // 86_400_000_000
    columns = (found.one, found.other, found.same, days, found.place)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected
    assert found.num_absent == len(pairs) - len(expected)


def test_no_decisions():
    assert len(decisions.in_rows(decided([]), pa.array([1, 2])).one) == 0


def test_tables_of_users_are_checked():
    table = decided([(1, 2, True, 0)])
    assert decisions.checked(table.drop(["by", "note"]), pa.int64(), "d.parquet").num_rows == 1
    with pytest.raises(InputError, match=r"d.parquet has no column same"):
        decisions.checked(table.drop(["same"]), pa.int64(), "d.parquet")
    with pytest.raises(InputError, match="row 0: 4 is decided against itself"):
        decisions.checked(decided([(4, 4, True, 0)]), pa.int64(), "d.parquet")
    with pytest.raises(InputError, match="the run's ids are"):
        decisions.checked(decided([("x", "y", True, 0)], pa.string()), pa.int64(), "d.parquet")
    holes = table.set_column(0, "id_a", pa.array([None], pa.int64()))
    with pytest.raises(InputError, match="row 0: id_a is null"):
        decisions.checked(holes, pa.int64(), "d.parquet")


def test_a_decision_in_words():
    at = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)
    row = {"id_a": 17, "id_b": 23, "same": False, "by": "ann", "at": at, "note": None}
    table = pa.Table.from_pylist([row], decisions.schema(pa.int64()))
    assert decisions.sentence(table, 0) == "17 ≠ 23 (ann, 2026-01-05)"


def test_a_column_that_is_there_twice_is_refused():
    table = decided([(1, 2, True, 0)])
    with pytest.raises(InputError, match=r"d.parquet has 2 columns named 'id_a'\."):
        decisions.checked(table.append_column("id_a", table["id_a"]), pa.int64(), "d.parquet")


@given(PAIRS, PAIRS)
def test_differing_decisions_are_in_one_table_alone(pairs, more):
    one, other = (decisions.added(decided([]), decided(made)) for made in (pairs, more))
    keys = [{(row["id_a"], row["id_b"], row["same"]) for row in table.to_pylist()} for table in (one, other)]
    found = decisions.differing(one, other)
    assert {(row["id_a"], row["id_b"], row["same"]) for row in found.to_pylist()} == keys[0] ^ keys[1]
    assert found.num_rows == len(keys[0] ^ keys[1])
