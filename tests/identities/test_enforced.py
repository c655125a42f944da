"""Rules put in force on the communities of another solver: all hold, and what breaks none stays."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.identities import contraction, enforced
from raycluster.identities.contraction import broken_rules, contracted
from raycluster.identities.enforced import obeyed
from raycluster.identities.rules import Columns, compiled
from raycluster.kernels.map_equation import flow as flows
from raycluster.kernels.map_equation import solve
from raycluster.kernels.map_equation.local_terms import community_flows
from support.decided import decided
from support.living_graphs import pairs_of, planted_links


def columns_of(links):
    pairs = np.array(list(links), np.int32).reshape(-1, 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy(), np.array(list(links.values()), np.float32)


def solved(links, nodes):
    """Communities without rules."""
    return solve(*columns_of(links), nodes).communities


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(pairs_of(40)), st.booleans(), st.integers(0, 9)), max_size=30), st.randoms())
def test_any_order_of_decisions_gives_the_same_and_undoing_gives_the_start(decisions, random):
    links = planted_links(8, 5, 200, 3)
    before = solved(links, 40)

    def under(pairs):
        rules, _ = compiled(decided(pairs), pa.array(range(40)), Columns(), "newest")
        return obeyed(*columns_of(links), before.copy(), rules), rules

    pairs = [(*pair, same, at) for pair, same, at in decisions]
    one, rules = under(pairs)
    assert broken_rules(one.communities, rules) == 0
    random.shuffle(pairs)
    np.testing.assert_array_equal(under(pairs)[0].communities, one.communities)
    start = under([])[0]
    np.testing.assert_array_equal(start.communities, before)
    assert start.solved == 0


def test_exclusive_columns_hold_in_large_graphs():
    links = planted_links(60, 12, 3500, 1)
    frame = np.random.default_rng(0).integers(-1, 150, 720).astype(np.int32)
    rules, _ = compiled(decided([]), pa.array(range(720)), Columns({"frame": frame}))
    raw = solved(links, 720)
    found = obeyed(*columns_of(links), raw.copy(), rules).communities
    assert broken_rules(raw, rules) > 0
    assert broken_rules(found, rules) == 0
    assert len(np.unique(found)) < 1.6 * len(np.unique(raw))


def test_values_of_columns_need_another_way():
    rules, _ = compiled(decided([]), pa.array(range(4)), Columns(differ={"color": np.array([0, 1, 0, 1], np.int32)}))
    with pytest.raises(AssertionError, match="values need all members"):
        obeyed(*columns_of({(0, 1): 1.0}), np.zeros(4, np.int32), rules)


@pytest.mark.parametrize("rows", [2**16, 20])
@pytest.mark.parametrize("seed", range(6))
def test_what_is_read_of_the_graph_is_enough(seed, rows, monkeypatch):
    """Only links that reach a broken community are read, in blocks: rules hold, others stay, and flows are those of the links."""
    monkeypatch.setattr(enforced, "ROWS_PER_SOLVE", rows)
    monkeypatch.setattr(enforced, "ROWS_PER_CALL", 7)
    monkeypatch.setattr(contraction, "LINKS_PER_CALL", 13)
    rng = np.random.default_rng(seed)
    links = planted_links(12, 5, 260, seed, within=0.7)
    pairs = [(int(a), int(b), bool(same), 0) for a, b, same in rng.integers(0, 60, (25, 3)) % [60, 60, 2] if a != b]
    rules, _ = compiled(decided(pairs), pa.array(range(60)), Columns(), "newest")
    raw = solved(links, 60)
    found = obeyed(*columns_of(links), raw.copy(), rules)
    assert broken_rules(found.communities, rules) == 0
    assert found.solved > 0
    network = flows.undirected(*contracted(*columns_of(links), rules), np.arange(60, dtype=np.int32), 1)
    count = int(found.communities.max()) + 1
    # Rows that are not the first of their node have no links.
    for column, expected in zip(found.flows, community_flows(network, found.communities, count), strict=True):
        np.testing.assert_allclose(column, expected, rtol=1e-5, atol=1e-5)


def test_communities_that_break_no_rule_stay():
    links = planted_links(12, 5, 260, 0)
    raw = solved(links, 60)
    inside = np.flatnonzero(raw == raw[0])[:2].tolist()
    rules, _ = compiled(decided([(*inside, False, 0)]), pa.array(range(60)), Columns())
    found = obeyed(*columns_of(links), raw.copy(), rules)
    far = np.flatnonzero(raw != raw[0])
    assert found.solved == (raw == raw[0]).sum()
    assert found.communities[inside[0]] != found.communities[inside[1]]
    same = (raw[far][:, None] == raw[far]) == (found.communities[far][:, None] == found.communities[far])
    assert same.all()


@pytest.mark.parametrize("pairs", [[], [(0, 1, True, 0)], [(0, 1, True, 0), (1, 2, False, 1)]])
def test_rows_without_any_link_obey_too(pairs):
    rules, _ = compiled(decided(pairs), pa.array(range(4)), Columns(), "newest")
    found = obeyed(*columns_of({}), np.arange(4, dtype=np.int32), rules).communities
    assert broken_rules(found, rules) == 0
    assert (found[0] == found[1]) == bool(pairs)
    assert len(np.unique(found)) == 4 - bool(pairs)
