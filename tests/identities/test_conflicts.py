"""Decisions that contradict each other are found, and named by their shortest chain."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.errors import InputError
from raycluster.identities.conflicts import conflicts, shortest_chain
from raycluster.identities.decisions import in_rows
from raycluster.identities.rules import Columns, compiled
from raycluster.identities.ties import must_links, united
from support.decided import decided

IDS = pa.array(range(100, 112))
ROWS = st.integers(100, 111)
PAIRS = st.lists(
    st.tuples(ROWS, ROWS, st.booleans(), st.integers(0, 9)).filter(lambda one: one[0] != one[1]), max_size=14
)


def found_in(pairs, columns=None):
    table = decided(pairs)
    own = in_rows(table, IDS)
    columns = columns or Columns()
    links = must_links(own, columns.same)
    return links, conflicts(own, columns, *united(links))


@given(PAIRS)
def test_conflicts_are_cannot_links_inside_sets(pairs):
    links, clash = found_in(pairs)
    rows, lowest = united(links)
    set_of = dict(zip(rows.tolist(), lowest.tolist(), strict=True))
    expected = sorted(
        (min(a, b) - 100, max(a, b) - 100)
        for a, b, same, _ in pairs
        if not same and set_of.get(a - 100, -1) == set_of.get(b - 100, -2)
    )
    assert sorted(zip(clash.one.tolist(), clash.other.tolist(), strict=True)) == expected


def test_the_shortest_chain_is_named():
    pairs = [(100, 101, True, 1), (101, 102, True, 2), (102, 103, True, 3), (100, 103, False, 4)]
    pairs += [(105, 106, True, 1), (106, 107, True, 2), (105, 107, False, 9), (110, 111, False, 0)]
    links, clash = found_in(pairs)
    chain, number = shortest_chain(links, clash)
    assert [(int(links.one[at]), int(links.other[at])) for at in chain] == [(5, 6), (6, 7)]
    assert (int(clash.one[number]), int(clash.other[number])) == (5, 7)
    with pytest.raises(InputError) as raised:
        compiled(decided(pairs), IDS, Columns())
    assert raised.value.exit_code == 2
    assert str(raised.value) == (
        "Decisions contradict each other: 105 = 106 (ann, 2026-01-02), 106 = 107 (ann, 2026-01-03), "
        "but 105 ≠ 107 (ann, 2026-01-10); undo one of them, or let --decisions.on-conflict be newest or drop."
    )


def test_columns_are_named():
    frame, ean = np.full(12, -1, np.int32), np.full(12, -1, np.int32)
    frame[[1, 4]], ean[[0, 4]] = 7, 3
    pairs = [(101, 100, True, 0)]
    text = "101 and 104 share one frame, which is exclusive"
    with pytest.raises(InputError, match=f"101 = 100 .*, 100 and 104 have one ean, but {text}"):
        compiled(decided(pairs), IDS, Columns(exclusive={"frame": frame}, same={"ean": ean}))
    ean[1] = 5
    with pytest.raises(InputError, match=r"100 and 101 differ in ean"):
        compiled(decided(pairs), IDS, Columns(differ={"ean": ean}))
