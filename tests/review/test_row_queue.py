"""The queue of rows in doubt."""

import numpy as np

from raycluster.review.row_queue import FEWEST, doubts, row_items
from support.reviewed import decisions, identities, opened, with_rows


def moved():
    """Clusters in which the first row of identity 0 lies among those of identity 9, with a margin below all others."""
    cluster = identities().copy()
    row = int(np.flatnonzero(cluster == 0)[0])
    cluster[row] = 9
    run = opened(cluster)
    margin = run.margin.copy()
    margin[row] = -0.5
    return with_rows(run, margin=margin), row


def test_a_row_of_another_identity_comes_first():
    run, row = moved()
    assert doubts(run, decisions(run)).row[0] == row


def test_a_row_that_a_person_confirmed_is_not_asked_about_again():
    run, row = moved()
    other = int(np.flatnonzero(run.cluster == 9)[-1])
    assert row not in doubts(run, decisions(run, (row, other, True))).row


def test_small_clusters_are_left_to_other_queues():
    cluster = np.arange(240) // 2
    run = opened(cluster)
    assert FEWEST == 3
    assert len(doubts(run, decisions(run)).row) == 0


def test_an_item_shows_the_row_and_the_strongest_of_its_cluster():
    run, row = moved()
    item = row_items(run, decisions(run), 1)[0]
    assert item.ids_a == (row,)
    assert row not in item.ids_b
    assert {run.cluster[one] for one in item.ids_b} == {9}
