"""Sets of rows that are one identity, against networkx."""

import networkx
import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from raycluster.identities.decisions import in_rows
from raycluster.identities.ties import codes, must_links, shared_values, united
from support.decided import decided

IDS = pa.array(range(12))
PAIRS = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 11), st.booleans(), st.just(0)).filter(lambda one: one[0] != one[1]),
    max_size=10,
)
CODES = st.lists(st.integers(-1, 4), min_size=12, max_size=12)


@given(PAIRS, CODES)
def test_sets_are_the_components_of_ties(pairs, code):
    code = np.array(code, np.int32)
    rows, lowest = united(must_links(in_rows(decided(pairs), IDS), {"ean": code}))
    graph = networkx.Graph((a, b) for a, b, same, _ in pairs if same)
    graph.add_edges_from((a, b) for a in range(12) for b in range(a) if code[a] == code[b] >= 0)
    expected = {row: min(one) for one in networkx.connected_components(graph) for row in one}
    assert dict(zip(rows.tolist(), lowest.tolist(), strict=True)) == expected
    assert (np.diff(rows) > 0).all()


def test_a_column_makes_one_tie_less_than_rows_per_value():
    links = must_links(in_rows(decided([]), IDS), {"ean": np.array([0, 1, 0, -1, 0, 1], np.int32)})
    assert list(zip(links.one.tolist(), links.other.tolist(), strict=True)) == [(0, 2), (2, 4), (1, 5)]
    assert links.decision.tolist() == [-1, -1, -1]


def test_codes_of_values_and_nulls():
    column = pa.chunked_array([pa.array(["b", None, "a"]), pa.array(["a", "c", "b"])])
    assert codes(column).tolist() == [0, -1, 1, 1, 2, 0]
    assert codes(pa.array([7, 7, None])).tolist() == [0, 0, -1]
    assert codes(pa.array([], pa.string())).tolist() == []


def test_rows_that_share_a_value():
    rows, number = shared_values(np.array([5, 2, -1, 5, 3, 2, 2, -1], np.int32))
    assert (rows.tolist(), number.tolist()) == ([1, 5, 6, 0, 3], [0, 0, 0, 1, 1])
    assert shared_values(np.array([0, 1, -1], np.int32))[0].tolist() == []
