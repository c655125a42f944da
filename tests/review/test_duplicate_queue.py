"""Near copies in different clusters."""

import numpy as np

from raycluster.review import duplicate_queue
from raycluster.review.duplicate_queue import duplicate_items, near_copies
from support.reviewed import decisions, identities, opened


def test_pairs_above_the_limit_in_different_clusters_are_listed(monkeypatch):
    monkeypatch.setattr(duplicate_queue, "NEAR", 0.7)
    cluster = identities().copy()
    cluster[::2] += 40
    run = opened(np.unique(cluster, return_inverse=True)[1])
    found = near_copies(run, decisions(run))
    lists = run.state.lists
    row, rank = np.nonzero(lists.similarity[:, 1:] >= 0.7)
    expected = {tuple(sorted((int(a), int(lists.neighbor[a, b + 1])))) for a, b in zip(row, rank, strict=True)}
    expected = {(a, b) for a, b in expected if run.cluster[a] != run.cluster[b]}
    assert set(zip(found.one.tolist(), found.other.tolist(), strict=True)) == expected
    assert len(expected) > 1
    assert (np.diff(found.similarity) <= 0).all()
    a, b = int(found.one[0]), int(found.other[0])
    left = near_copies(run, decisions(run, (a, b, False)))
    assert (a, b) not in set(zip(left.one.tolist(), left.other.tolist(), strict=True))
    item = duplicate_items(run, decisions(run), 1)[0]
    assert (item.ids_a, item.ids_b) == ((a,), (b,))
    assert item.cluster_a != item.cluster_b


def test_a_set_without_near_copies_has_no_items():
    run = opened(identities())
    assert duplicate_items(run, decisions(run), 10) == []
