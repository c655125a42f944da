"""Rules applied: the solver obeys all of them, and local equals full equals the best that obeys."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.identities import contraction
from raycluster.identities.contraction import broken_rules, contracted, obeyed
from raycluster.identities.rules import Columns, compiled
from raycluster.kernels.map_equation import flow as flows
from raycluster.kernels.map_equation import local, solve
from raycluster.kernels.map_equation.local_terms import community_flows
from support.decided import decided
from support.living_graphs import cost, pairs_of, partitions, planted_links

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
        at = np.unique(np.concatenate([sorted(touched), rules.nodes(nodes)[sorted(touched)]]).astype(np.int64))
        found = local.solve(network, membership, at, mu, flows=own, apart=rules.apart, rounds=None)
        everything = np.arange(nodes)
        full = local.solve(network, np.full(nodes, -1, np.int32), everything, mu, apart=rules.apart, rounds=None)
        np.testing.assert_array_equal(found.communities, full.communities)
        of_rows = found.communities[rules.nodes(nodes)]
        assert broken_rules(of_rows, rules) == 0
        allowed = [one for one in partitions(nodes) if broken_rules(np.array(one), rules) == 0]
        # Tied rows count as one node here: the others of its set have no links and cost nothing.
        best = min(cost(network, one, mu) for one in allowed)
        assert cost(network, of_rows, mu) == pytest.approx(best, abs=1e-9)
        membership, own = found.communities, found.flows


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(pairs_of(40)), st.booleans(), st.integers(0, 9)), max_size=30), st.randoms())
def test_any_order_of_decisions_gives_the_same_and_undoing_gives_the_start(decisions, random):
    links = planted_links(8, 5, 200, 3)

    def solved(pairs):
        rules, _ = compiled(decided(pairs), pa.array(range(40)), Columns(), "newest")
        graph = contracted(*columns_of(links), rules)
        return obeyed(*graph, solve(*graph, 40).communities, rules), rules

    pairs = [(*pair, same, at) for pair, same, at in decisions]
    one, rules = solved(pairs)
    assert broken_rules(one, rules) == 0
    random.shuffle(pairs)
    np.testing.assert_array_equal(solved(pairs)[0], one)
    np.testing.assert_array_equal(solved([])[0], solve(*columns_of(links), 40).communities)


def test_contraction_keeps_the_strength_of_rows(monkeypatch):
    monkeypatch.setattr(contraction, "LINKS_PER_CALL", 7)
    links = planted_links(8, 5, 200, 3)
    rules, _ = compiled(decided([(0, 1, True, 0), (1, 7, True, 0), (3, 30, True, 0)]), pa.array(range(40)), Columns())
    network = network_of(links, rules, 40)
    plain = network_of(links, compiled(decided([]), pa.array(range(40)), Columns())[0], 40)
    expected = np.bincount(rules.nodes(40), plain.flow, 40)
    np.testing.assert_allclose(network.flow, expected, rtol=1e-6)
    grouped = community_flows(plain, rules.nodes(40), 40)
    np.testing.assert_allclose(network.exit, grouped.exit, rtol=1e-6)


def test_links_between_what_must_be_apart_go():
    links = {(0, 1): 1.0, (1, 2): 1.0, (2, 3): 1.0, (0, 3): 1.0, (3, 4): 1.0}
    frame = np.array([-1, -1, 0, 0, -1], np.int32)
    rules, _ = compiled(decided([(0, 1, False, 0), (1, 4, True, 0)]), pa.array(range(5)), Columns({"frame": frame}))
    source, target, _ = contracted(*columns_of(links), rules)
    assert list(zip(source.tolist(), target.tolist(), strict=True)) == [(1, 2), (0, 3), (3, 1)]


def test_directed_links_inside_a_node_keep_their_weight():
    rules, _ = compiled(decided([(0, 1, True, 0)]), pa.array(range(3)), Columns())
    for directed, weight in ((False, 2.0), (True, 1.0)):
        source, target, found = contracted(*columns_of({(0, 1): 1.0, (1, 2): 1.0}), rules, directed)
        assert (source.tolist(), target.tolist(), found.tolist()) == ([0, 0], [0, 2], [weight, 1.0])


@pytest.mark.parametrize("directed", [False, True])
def test_exclusive_columns_hold_in_large_graphs(directed):
    links = planted_links(60, 12, 3500, 1)
    frame = np.random.default_rng(0).integers(-1, 150, 720).astype(np.int32)
    rules, _ = compiled(decided([]), pa.array(range(720)), Columns({"frame": frame}))
    graph = contracted(*columns_of(links), rules, directed)
    raw = solve(*graph, 720, directed=directed).communities
    found = obeyed(*graph, raw, rules, directed)
    assert broken_rules(raw, rules) > 0
    assert broken_rules(found, rules) == 0
    assert len(np.unique(found)) < 1.6 * len(np.unique(raw))
    color = np.random.default_rng(1).integers(-1, 3, 720).astype(np.int32)
    both, _ = compiled(decided([]), pa.array(range(720)), Columns({"frame": frame}, differ={"color": color}))
    assert broken_rules(obeyed(*contracted(*columns_of(links), both, directed), raw, both, directed), both) == 0


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_what_is_read_of_the_graph_is_enough(seed):
    """Only links that reach a broken community are read: rules hold with communities around, and others stay."""
    rng = np.random.default_rng(seed)
    links = planted_links(12, 5, 260, seed, within=0.7)
    pairs = [(int(a), int(b), False, 0) for a, b in rng.integers(0, 60, (25, 2)) if a != b]
    rules, _ = compiled(decided(pairs), pa.array(range(60)), Columns())
    graph = contracted(*columns_of(links), rules)
    raw = solve(*graph, 60).communities
    found = obeyed(*graph, raw, rules)
    assert broken_rules(found, rules) == 0
    if broken_rules(raw, rules) == 0:
        np.testing.assert_array_equal(found, raw)
