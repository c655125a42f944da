"""Clusters cut in two."""

import numpy as np
import pytest

from raycluster.review import halves as module
from raycluster.review.halves import halved, linked_half
from support.labelled_groups import pairs
from support.reviewed import identities, opened


def joined():
    """Clusters in which identities 0 and 1, 2 and 3 are one each."""
    cluster = identities().copy()
    cluster[cluster == 1], cluster[cluster == 3] = 0, 2
    return opened(np.unique(cluster, return_inverse=True)[1])


def test_two_identities_fall_apart_along_their_border():
    run = joined()
    halves = halved(run)
    for number in (0, 1):
        rows = np.flatnonzero(run.cluster == number)
        sides = identities()[rows][halves.is_first[rows]], identities()[rows][~halves.is_first[rows]]
        assert [len(np.unique(side)) for side in sides] == [1, 1]
        place = int(np.flatnonzero(halves.cluster == number)[0])
        assert halves.rows[place].sum() == len(rows)
        assert set(run.cluster[halves.bridge[place]].tolist()) == {number}


def test_large_clusters_fall_apart_by_communities(monkeypatch):
    monkeypatch.setattr(module, "LARGEST_LINKED", 8)
    run = joined()
    halves = halved(run)
    rows = np.flatnonzero(run.cluster == 0)
    assert 0 < halves.is_first[rows].sum() < len(rows)


def test_rows_without_any_pair_are_cut_somewhere():
    own = np.arange(3)
    assert linked_half(own, pairs((0, 1, 0.5)), np.array([], np.int64)).tolist() == [True, False, False]
    assert linked_half(own, pairs((0, 1, 0.9), (1, 2, 0.1)), np.array([0, 1])).tolist() == [True, True, False]


def test_the_cosine_is_of_the_mean_vectors():
    run = joined()
    halves = halved(run)
    place = int(np.flatnonzero(halves.cluster == 0)[0])
    rows = np.flatnonzero(run.cluster == 0)
    one, other = (
        run.state.vectors[rows[chosen]].sum(axis=0) for chosen in (halves.is_first[rows], ~halves.is_first[rows])
    )
    assert halves.cosine[place] == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=1e-5)
