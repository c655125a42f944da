"""Rules applied to links: the solver obeys all of them, and local equals full equals the best that obeys."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.identities import contraction
from raycluster.identities.contraction import broken_rules, contracted
from raycluster.identities.rules import Columns, compiled
from raycluster.kernels.map_equation import flow as flows
from raycluster.kernels.map_equation import local
from raycluster.kernels.map_equation.local_terms import community_flows
from support.decided import decided
from support.living_graphs import best_cost, cost, pairs_of, planted_links

WEIGHTS = st.sampled_from([0.0, 0.25, 0.5, 1.0])


def columns_of(links):
    pairs = np.array(list(links), np.int32).reshape(-1, 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy(), np.array(list(links.values()), np.float32)


def network_of(links, rules, nodes):
    return flows.undirected(*contracted(*columns_of(links), rules), np.arange(nodes, dtype=np.int32), 1)


@st.composite
def histories(draw):
    nodes = draw(st.integers(2, 8))
    change = st.dictionaries(st.sampled_from(pairs_of(nodes)), WEIGHTS, max_size=2 * nodes)
    pair = st.sampled_from(pairs_of(nodes))
    decision = st.tuples(pair, st.booleans(), st.integers(0, 9)).map(lambda one: (*one[0], *one[1:]))
    steps = draw(st.lists(st.tuples(change, st.lists(decision, max_size=3)), min_size=1, max_size=3))
    return nodes, draw(st.sampled_from([1.0, 3.0, 6.0])), steps


@pytest.mark.slow
@settings(max_examples=60)
@given(histories())
def test_local_equals_full_equals_the_best_that_obeys(history):
    """Any sequence of additions, deletions, changes of weight and decisions, added and withdrawn."""
    nodes, mu, steps = history
    ids = pa.array(range(nodes))
    links, membership, own, before = {}, np.full(nodes, -1, np.int32), None, []
    for changed, pairs in steps:
        touched = {node for pair, weight in changed.items() if links.get(pair, 0.0) != weight for node in pair}
        touched |= {node for pair in [*before, *pairs] if pair not in before or pair not in pairs for node in pair[:2]}
        touched |= set(np.flatnonzero(membership < 0).tolist())
        links, before = {**links, **changed}, pairs
        rules, _ = compiled(decided(pairs), ids, Columns(), "newest")
        network = network_of({pair: weight for pair, weight in links.items() if weight > 0}, rules, nodes)
        at = np.unique(
            np.concatenate([sorted(touched), rules.ties.of(np.arange(nodes))[sorted(touched)]]).astype(np.int64)
        )
        found = local.solve(network, membership, at, mu, flows=own, apart=rules.apart, rounds=None)
        everything = np.arange(nodes)
        full = local.solve(network, np.full(nodes, -1, np.int32), everything, mu, apart=rules.apart, rounds=None)
        np.testing.assert_array_equal(found.communities, full.communities)
        of_rows = found.communities[rules.ties.of(np.arange(nodes))]
        assert broken_rules(of_rows, rules) == 0
        # Tied rows count as one node here: the others of its set have no links and cost nothing.
        best = best_cost(network, rules.apart, mu, list(zip(rules.ties.row, rules.ties.node, strict=True)))
        assert cost(network, of_rows, mu) == pytest.approx(best, abs=1e-9)
        membership, own = found.communities, found.flows


def test_contraction_keeps_the_strength_of_rows(monkeypatch):
    monkeypatch.setattr(contraction, "LINKS_PER_CALL", 7)
    links = planted_links(8, 5, 200, 3)
    rules, _ = compiled(decided([(0, 1, True, 0), (1, 7, True, 0), (3, 30, True, 0)]), pa.array(range(40)), Columns())
    network = network_of(links, rules, 40)
    plain = network_of(links, compiled(decided([]), pa.array(range(40)), Columns())[0], 40)
    expected = np.bincount(rules.ties.of(np.arange(40)), plain.flow, 40)
    np.testing.assert_allclose(network.flow, expected, rtol=1e-6)
    grouped = community_flows(plain, rules.ties.of(np.arange(40)), 40)
    np.testing.assert_allclose(network.exit, grouped.exit, rtol=1e-6)


def test_links_between_what_must_be_apart_go():
    links = {(0, 1): 1.0, (1, 2): 1.0, (2, 3): 1.0, (0, 3): 1.0, (3, 4): 1.0}
    frame = np.array([-1, -1, 0, 0, -1], np.int32)
    rules, _ = compiled(decided([(0, 1, False, 0), (1, 4, True, 0)]), pa.array(range(5)), Columns({"frame": frame}))
    source, target, _ = contracted(*columns_of(links), rules)
    assert list(zip(source.tolist(), target.tolist(), strict=True)) == [(1, 2), (0, 3), (3, 1)]
