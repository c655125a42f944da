"""Decisions between groups."""

import numpy as np

from support.reviewed import decisions, identities, opened


def test_pairs_of_groups_are_parted_and_tied_by_decisions_between_their_rows():
    run, group = opened(identities()), identities()
    first = [int(np.flatnonzero(group == number)[0]) for number in range(4)]
    decided = decisions(run, (first[0], first[1], False), (first[3], first[2], True))
    one, other = np.array([1, 0, 2]), np.array([0, 2, 3])
    assert decided.parts(group, one, other).tolist() == [True, False, False]
    assert decided.ties(group, one, other).tolist() == [False, False, True]


def test_without_decisions_nothing_is_decided():
    run = opened(identities())
    assert not decisions(run).parts(identities(), np.array([0]), np.array([1])).any()
