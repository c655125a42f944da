"""Edges after some lists changed, against all edges built again."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raycluster.config.load import load_config
from raycluster.identities.changed_edges import changed_edges, edges_of
from raycluster.identities.state import Lists
from raycluster.limits.in_force import EdgeLimits
from support.data import neighbor_table
from support.edge_tables import random_scores

THRESHOLD = load_config("cosine", {}, "test"), EdgeLimits(threshold=0.3)
SCORE = load_config("auto", {"model": "unused"}, "test"), EdgeLimits(eta=0.4)


@given(st.integers(0, 1000), st.booleans(), st.integers(0, 30))
def test_only_pairs_with_a_changed_row_are_built_again(seed, with_score, num_changed):
    config, limits = SCORE if with_score else THRESHOLD
    tables = [neighbor_table(60, 8, seed), neighbor_table(60, 8, seed + 1)]
    is_changed = np.zeros(60, bool)
    is_changed[np.random.default_rng(seed).choice(60, num_changed, replace=False)] = True
    lists = []
    for number, (neighbor, similarity) in enumerate(tables):
        lists.append(Lists(neighbor, similarity, random_scores(neighbor, seed + number) if with_score else None))
    before, other = lists
    mixed = Lists(
        *(
            None if a is None else np.where(is_changed[:, None], b, a)
            for a, b in zip(vars(before).values(), vars(other).values(), strict=True)
        )
    )
    old, new = edges_of(config, limits, before), edges_of(config, limits, mixed)
    num_old = 50
    found = changed_edges(config, limits, old, mixed, is_changed, num_old)
    np.testing.assert_array_equal(found.edges.key(), new.key())
    np.testing.assert_array_equal(found.edges.weight, new.weight)
    was = dict(zip(old.key().tolist(), old.weight.tolist(), strict=True))
    now = dict(zip(new.key().tolist(), new.weight.tolist(), strict=True))
    rebuilt = {key for key in now if is_changed[key >> 32] or is_changed[key & 0xFFFFFFFF]}
    moved = {
        key
        for key in was.keys() | now.keys()
        if key not in was or key not in now or abs(now[key] - was[key]) > 0.05 * max(now[key], was[key])
    }
    of_new = {key for key in now if key & 0xFFFFFFFF >= num_old}
    gone = {key for key in moved if key not in now}
    for rows, keys in ((found.touched, moved - of_new | gone), (found.reached, of_new & rebuilt)):
        assert set(rows.tolist()) == {end for key in keys for end in (key >> 32, key & 0xFFFFFFFF)}
    assert set(found.gone.key().tolist()) == {key for key in was if was[key] != now.get(key)}
    assert set(found.came.key().tolist()) == {key for key in now if now[key] != was.get(key)}


def test_rows_that_lost_a_removed_neighbor_are_apart_from_those_between_which_edges_changed():
    config, limits = THRESHOLD
    neighbor, similarity = neighbor_table(60, 8, 0)
    before = edges_of(config, limits, Lists(neighbor, similarity, None))
    removed = int(before.source[0])
    neighbor[neighbor == removed] = -1
    neighbor[removed], is_changed = -1, np.arange(60) == removed
    found = changed_edges(config, limits, before, Lists(neighbor, similarity, None), is_changed, 60)
    ends = [
        *before.target[before.source == removed].tolist(),
        *before.source[before.target == removed].tolist(),
    ]
    assert sorted(ends) == found.lost.tolist()
    assert (len(found.touched), len(found.reached)) == (0, 0)
    assert len(found.gone.key()) == len(ends) > 0


def test_a_threshold_that_overrules_scores_makes_the_edges():
    """The recipe scores pairs, and its limit is a similarity (`limits.in_force`)."""
    neighbor, similarity = neighbor_table(60, 8, 0)
    lists = Lists(neighbor, similarity, random_scores(neighbor, 0))
    found = edges_of(SCORE[0], EdgeLimits(threshold=0.3, picked=True), lists)
    expected = edges_of(*THRESHOLD, lists)
    np.testing.assert_array_equal(found.key(), expected.key())
    np.testing.assert_array_equal(found.weight, expected.weight)
    assert len(found.key()) > 0


def test_nothing_changed():
    config, limits = THRESHOLD
    lists = Lists(*neighbor_table(60, 8, 0), None)
    edges = edges_of(config, limits, lists)
    found = changed_edges(config, limits, edges, lists, np.zeros(60, bool), 60)
    np.testing.assert_array_equal(found.edges.key(), edges.key())
    assert (len(found.touched), len(found.gone.key()), len(found.came.key())) == (0, 0, 0)
