"""Copies of a vector in the rules of a solve."""

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.errors import InputError
from raycluster.identities import rules as rules_module
from raycluster.identities.copied import firsts, with_parted
from raycluster.identities.rules import compiled
from raycluster.identities.state import undirected_edges
from raycluster.identities.ties import Columns, Ties
from support.decided import decided

ROWS = 12
COPIES = np.array([0, 0, 0, 0, -1, 5, 5, 5, -1, -1, -1, -1], np.int32)
"""Rows 1 to 3 are copies of row 0; rows 6 and 7 are copies of row 5."""


def nodes(pairs, columns=None, on_conflict="stop"):
    """The node of each row under decisions."""
    columns = Columns(copies=COPIES) if columns is None else columns
    rules, left_out = compiled(decided(pairs), pa.array(np.arange(ROWS)), columns, on_conflict)
    return rules.ties.of(np.arange(ROWS)).tolist(), left_out.tolist()


def test_copies_are_one_identity_and_no_limit_counts_them(monkeypatch):
    monkeypatch.setattr(rules_module, "LARGEST_SET", 3)
    assert nodes([]) == ([0, 0, 0, 0, 4, 5, 5, 5, 8, 9, 10, 11], [])
    with pytest.raises(InputError, match="make 4 rows one identity, with the id 8"):
        nodes([(8, 9, True, 0), (9, 10, True, 0), (10, 11, True, 0)])


def test_a_decision_parts_copies_and_is_no_contradiction():
    assert nodes([(1, 2, False, 0)])[0][:4] == [0, 0, 2, 0]
    # Those that leave stay together where a decision ties them.
    split = [(1, 2, True, 0), (1, 0, False, 0), (1, 3, False, 0)]
    assert nodes(split)[0][:4] == [0, 1, 1, 0]
    # The first row leaves: the others stay together.
    assert nodes([(0, other, False, 0) for other in (1, 2, 3)])[0][:4] == [0, 1, 1, 1]
    # Through rows of another vector: 0 and 5 are one, 3 and 7 are not.
    assert nodes([(0, 5, True, 0), (3, 7, False, 0)])[0][:8] == [0, 0, 0, 0, 4, 0, 0, 7]


def test_columns_part_copies():
    frame = np.full(ROWS, -1, np.int32)
    frame[[0, 1]] = 4
    assert nodes([], Columns(exclusive={"frame": frame}, copies=COPIES))[0][:4] == [0, 1, 0, 0]
    color = np.full(ROWS, -1, np.int32)
    color[[1, 2, 3]] = [6, 6, 8]
    assert nodes([], Columns(differ={"color": color}, copies=COPIES))[0][:4] == [0, 0, 0, 3]


def test_decisions_that_contradict_each_other_still_stop():
    pairs = [(8, 9, True, 0), (8, 9, False, 1)]
    with pytest.raises(InputError, match="Decisions contradict each other"):
        nodes(pairs)
    # What a conflict left out parts no copies.
    pairs = [(0, 1, False, 0), (0, 1, True, 1)]
    assert nodes(pairs, on_conflict="newest") == ([0, 0, 0, 0, 4, 5, 5, 5, 8, 9, 10, 11], [0])


pair = st.tuples(st.integers(0, ROWS - 1), st.integers(0, ROWS - 1), st.booleans())


@settings(max_examples=200, deadline=None)
@given(st.lists(pair, max_size=8), st.lists(st.integers(-1, 3), min_size=ROWS, max_size=ROWS))
def test_no_rule_is_broken_and_copies_that_may_be_together_are(pairs, frame):
    unique = {(min(one, other), max(one, other)): same for one, other, same in pairs if one != other}
    table = [(one, other, same, number) for number, ((one, other), same) in enumerate(unique.items())]
    frame = np.array(frame, np.int32)
    columns = Columns(exclusive={"frame": frame}, copies=COPIES)
    alone = compiled(decided(table), pa.array(np.arange(ROWS)), Columns(exclusive={"frame": frame}), "newest")
    both = compiled(decided(table), pa.array(np.arange(ROWS)), columns, "newest")
    assert both[1].tolist() == alone[1].tolist(), "copies leave no decision out"
    ties, before = (rules.ties.of(np.arange(ROWS)) for rules in (both[0], alone[0]))
    assert len({(a, b) for a, b in zip(before.tolist(), ties.tolist(), strict=True)}) == len(set(before.tolist()))
    apart = [table[at] for at in range(len(table)) if at not in set(both[1].tolist()) and not table[at][2]]
    members = defaultdict(list)
    for row, node in enumerate(ties.tolist()):
        members[node].append(row)

    def clashes(some):
        # A decision beats a column: what it ties counts once.
        frames = [value for _, value in {(before[row], frame[row]) for row in some if frame[row] >= 0}]
        return len(set(frames)) < len(frames) or any(one in some and other in some for one, other, _, _ in apart)

    assert not any(clashes(some) for some in members.values() if len(some) > 1)
    for first in (0, 5):
        groups = sorted({int(ties[row]) for row in range(ROWS) if COPIES[row] == first})
        for at, one in enumerate(groups):
            for other in groups[:at]:
                assert clashes(members[one] + members[other])


def test_parted_copies_have_the_edges_of_their_first_row():
    original = np.array([0, 0, 0, 3, 4, 4, 6], np.int32)
    edges = undirected_edges(np.array([0, 3, 0]), np.array([4, 4, 6]), np.array([0.5, 0.25, 1], np.float32))
    ties = Ties.make(np.array([1, 2], np.int32), np.array([1, 1], np.int32), 7)
    alive = np.ones(7, bool)
    found, row, first = with_parted(edges, original, alive, ties)
    assert (row.tolist(), first.tolist()) == ([1, 5], [0, 4])
    assert list(zip(*(column.tolist() for column in found.columns()), strict=True)) == [
        (0, 4, 0.5), (0, 5, 0.5), (0, 6, 1.0), (1, 4, 0.5), (1, 6, 1.0), (3, 4, 0.25), (3, 5, 0.25),
    ]  # fmt: skip
    alive[[1, 2, 5]] = False
    assert with_parted(edges, original, alive, ties)[0] is edges
    whole = Ties.make(np.array([0, 1, 2, 4, 5], np.int32), np.array([0, 0, 0, 4, 4], np.int32), 7)
    assert with_parted(edges, original, np.ones(7, bool), whole)[0] is edges


def test_the_first_copy_of_each_group():
    original, group = np.array([0, 0, 0, 3, 0, 3]), np.array([1, 1, 2, 2, 2, 2])
    assert firsts(original, group).tolist() == [0, 0, 2, 3, 2, 3]
