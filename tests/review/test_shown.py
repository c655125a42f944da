"""Rows that are shown of a side."""

import numpy as np

from raycluster.review.queue_tables import MOST_SHOWN
from raycluster.review.shown import Members, side
from support.reviewed import identities, opened


def test_members_come_with_the_strongest_first():
    run = opened(identities())
    rows = Members(run).of(3)
    assert set(rows.tolist()) == set(np.flatnonzero(identities() == 3).tolist())
    assert (np.diff(run.strength[rows]) <= 0).all()


def test_the_bridge_comes_first_and_once():
    rows = np.arange(20)
    assert side(7, rows) == [7, *[row for row in range(20) if row != 7]][:MOST_SHOWN]
    assert side(7, rows, rows > 15) == [7, 16, 17, 18, 19]
