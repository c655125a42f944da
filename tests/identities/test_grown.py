"""Rows come and go: lists, edges and what they touch."""

import numpy as np

from raycluster.identities.grown import with_rows
from raycluster.identities.inheritance import NO_ID
from support.living import BASE, ROWS, base, change


def test_new_rows_follow_and_edges_at_changed_rows_are_new():
    grown = with_rows(base(), change(base(), range(BASE, ROWS)), "local", 1)
    assert grown.state.num_rows == ROWS
    assert grown.state.ids.to_pylist() == list(range(ROWS))
    assert (grown.state.piece[BASE:] == -1).all()
    assert (grown.state.row_id[BASE:] == NO_ID).all()
    assert grown.is_changed[BASE:].all()
    assert grown.num_searched == ROWS - BASE
    new = grown.edges.edges.target >= BASE
    assert new.any()
    assert set(grown.edges.edges.source[new].tolist()) <= set(grown.edges.reached.tolist())
    assert grown.is_changed[grown.edges.came.source].sum() + grown.is_changed[grown.edges.came.target].sum() > 0


def test_attach_keeps_the_lists_of_old_rows():
    grown = with_rows(base(), change(base(), range(BASE, ROWS), [4]), "attach", 1)
    old = base().lists.neighbor
    expected = np.where(old == 4, -1, old)
    expected[4] = -1
    np.testing.assert_array_equal(grown.state.lists.neighbor[:BASE], expected)
    assert not np.isin(grown.edges.edges.source, [4]).any()


def test_no_rows_change_nothing():
    grown = with_rows(base(), change(base()), "local", 1)
    assert grown.state is base()
    assert (grown.num_searched, len(grown.edges.touched), grown.is_changed.any()) == (0, 0, False)
