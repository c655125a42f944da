"""Differences of states: they give the state back, and hold what changed and no more."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from raycluster.identities.members import applied, difference
from raycluster.kernels.map_equation.aggregate import numbered
from support.living import BASE, base, updated

PIECES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(-1, 3)), min_size=1, max_size=20)


def state_of(piece, row_id):
    piece = np.array(piece, np.int32)
    numbered(piece)
    rows = len(piece)
    return replace(
        base(),
        ids=pa.array(range(rows)),
        is_alive=np.arange(rows) % 5 != 1,
        original=np.arange(rows, dtype=np.int32),
        piece=piece,
        row_id=np.array(row_id, np.int64),
    )


@given(PIECES, PIECES)
def test_a_difference_gives_the_state_back(rows, new):
    before = state_of([row[0] for row in rows], [row[2] for row in rows])
    after = state_of([row[1] for row in rows + new], [row[2] for row in rows + new])
    found = applied(before, difference(before, after), len(rows) + len(new))
    for name in ("is_alive", "original", "piece", "row_id"):
        np.testing.assert_array_equal(getattr(found, name), getattr(after, name))


@given(PIECES)
def test_nothing_changed(rows):
    state = state_of([row[0] for row in rows], [row[2] for row in rows])
    assert difference(state, state).num_rows == 0


def test_few_rows_of_a_large_clustering_differ():
    """The new row comes first in no piece, but a deletion numbers all pieces after it anew."""
    found = updated(base(), range(BASE, BASE + 2), removed=[3])
    table = difference(base(), found.state)
    moved = found.state.row_id[:BASE] != base().row_id
    assert set(np.flatnonzero(moved)) <= set(table["row"].to_pylist())
    assert 3 <= table.num_rows <= 3 + 2 * moved.sum()
