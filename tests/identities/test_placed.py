"""Communities after a change."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from raycluster.identities.placed import joined, placed
from raycluster.identities.rules import compiled
from raycluster.identities.ties import Columns
from support.decided import decided
from support.living import BASE, ROWS, base, tables_of
from support.living import rows as all_rows

NONE = np.empty(0, np.int64)


def rules_of(pairs, rows):
    return compiled(decided(pairs), pa.array(np.arange(rows)), Columns())[0]


def test_untouched_communities_stay():
    piece, solution = placed(base(), np.array([3]), NONE, NONE, rules_of([], BASE), "local", BASE)
    np.testing.assert_array_equal(piece, base().piece)
    assert solution.solved <= np.bincount(base().piece)[base().piece[3]]


def test_tied_rows_are_in_one_community():
    rules = rules_of([(0, 239, True, 0)], BASE)
    piece, _ = placed(base(), np.array([0, 239]), NONE, NONE, rules, "local", BASE)
    assert piece[0] == piece[239]
    assert (np.diff(np.unique(piece, return_index=True)[1]) > 0).all()


def test_new_rows_are_attached_where_they_gain():
    from raycluster.identities.state import from_tables

    full = from_tables(tables_of(all_rows()[0]))
    start = full.piece.copy()
    start[BASE:] = -1
    grown = replace(full, piece=start)
    piece, _ = placed(grown, NONE, np.arange(BASE, ROWS), NONE, rules_of([], ROWS), "attach", BASE)
    old = full.piece[:BASE]
    np.testing.assert_array_equal(piece[:BASE][:, None] == piece[:BASE], old[:, None] == old)
    assert (np.bincount(piece)[piece[BASE:]] > 1).mean() > 0.8


def test_pieces_of_one_identity_are_joined_unless_a_rule_parts_them():
    piece = np.array([0, 0, 1, 1, 2, 3], np.int32)
    whole = np.array([0, 0, 2, 2], np.int32)
    alive = np.ones(6, bool)
    assert joined(piece, whole, rules_of([], 6), alive).tolist() == [0, 0, 0, 0, 1, 1]
    assert joined(piece, whole, rules_of([(0, 3, False, 0)], 6), alive).tolist() == [0, 0, 1, 1, 2, 2]
