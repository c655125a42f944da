"""The queue of splits, on identities that were joined."""

import numpy as np

from raycluster.review.split_queue import split_items, splits
from support.reviewed import decisions, identities, opened


def joined():
    cluster = identities().copy()
    cluster[cluster == 1], cluster[cluster == 3] = 0, 2
    return opened(np.unique(cluster, return_inverse=True)[1])


def test_joined_identities_come_first():
    run = joined()
    found = splits(run, decisions(run))
    assert set(found.halves.cluster[found.place[:2]].tolist()) == {0, 1}
    assert len(found.place) == len(run.cluster_id)


def test_a_decision_across_the_halves_takes_the_cluster_out():
    run = joined()
    halves = splits(run, decisions(run)).halves
    rows = np.flatnonzero(run.cluster == 0)
    one, other = rows[halves.is_first[rows]][0], rows[~halves.is_first[rows]][0]
    found = splits(run, decisions(run, (int(one), int(other), True)))
    assert 0 not in found.halves.cluster[found.place]


def test_an_item_shows_both_halves():
    run = joined()
    item = split_items(run, decisions(run), 1)[0]
    assert item.cluster_a == item.cluster_b
    assert len({int(identities()[row]) for row in item.ids_a} & {int(identities()[row]) for row in item.ids_b}) == 0
    assert 0 <= item.probability <= 1
