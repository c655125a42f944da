"""The queue of merges, on identities whose clusters were taken apart."""

import numpy as np
import pytest

from raycluster.kernels.map_equation import codelength
from raycluster.review.merge_queue import gains, mean_vectors, merge_items, merges
from support.reviewed import decisions, identities, opened


def apart():
    """Clusters in which identities 0 to 4 are two halves each: the last three rows of each form a cluster of their own."""
    cluster = identities().copy()
    for number in range(5):
        rows = np.flatnonzero(identities() == number)
        cluster[rows[3:]] = 40 + number
    return opened(cluster)


def test_halves_of_one_identity_come_first():
    run = apart()
    found = merges(run, decisions(run))
    pairs = list(zip(found.one.tolist(), found.other.tolist(), strict=True))
    places = [pairs.index((number, 40 + number)) for number in range(5)]
    assert np.median(places) < 5
    assert max(places) < 0.1 * len(pairs)


def test_a_decision_takes_its_pair_out():
    run = apart()
    rows = [int(np.flatnonzero(run.cluster == number)[0]) for number in (2, 42)]
    found = merges(run, decisions(run, (*rows, False)))
    assert (2, 42) not in set(zip(found.one.tolist(), found.other.tolist(), strict=True))


def test_an_item_shows_the_bridge_first_and_has_a_probability():
    run = apart()
    item = merge_items(run, decisions(run), 3)[0]
    assert (item.item, item.kind) == (0, "merge")
    assert {run.cluster[row] for row in item.ids_a} == {item.cluster_a}
    assert {run.cluster[row] for row in item.ids_b} == {item.cluster_b}
    assert 0 <= item.probability <= 1
    assert len(merge_items(run, decisions(run), 3)) == 3


def test_gains_are_what_the_map_equation_saves():
    run = apart()
    state = run.state
    one, other = np.array([0, 1]), np.array([40, 41])
    found = gains(run, one, other)
    total = 2 * float(state.edges.weight.sum())
    for place in range(2):
        merged = np.where(run.cluster == other[place], one[place], run.cluster)
        before, after = (codelength(*state.edges.columns(), labels) for labels in (run.cluster, merged))
        flow = min(_flow(run, one[place]), _flow(run, other[place]))
        # mu is frozen, so the exact difference departs by the square of the change of exits.
        assert found[place] == pytest.approx((before - after) * total / flow, rel=0.1)


def _flow(run, cluster):
    ends = np.concatenate([run.state.edges.source, run.state.edges.target])
    weight = np.concatenate([run.state.edges.weight] * 2)
    return float(weight[run.cluster[ends] == cluster].sum())


def test_mean_vectors_are_of_unit_length():
    run = apart()
    means = mean_vectors(run)
    own = run.state.vectors[run.cluster == 7].mean(axis=0)
    assert means[7] == pytest.approx(own / np.linalg.norm(own), abs=1e-5)
