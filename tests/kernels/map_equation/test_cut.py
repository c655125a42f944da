"""Cuts of communities that break a rule, against networkx."""

import networkx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raycluster.kernels.map_equation.cut import cut_violations
from raycluster.kernels.map_equation.flow import undirected
from support.living_graphs import apart_of, network_of, pairs_of, planted_links

LINKS = st.dictionaries(st.sampled_from(pairs_of(8)), st.sampled_from([0.25, 0.5, 0.75, 1.0]), min_size=1)


@given(LINKS, st.sampled_from(pairs_of(8)))
def test_one_pair_is_parted_by_the_minimum_cut(links, pair):
    found = cut_violations(network_of(links, 8), np.zeros(8, np.int32), apart_of([list(pair)], 8))
    graph = networkx.Graph()
    graph.add_nodes_from(range(8))
    graph.add_edges_from((a, b, {"capacity": weight}) for (a, b), weight in links.items())
    lost = sum(weight for (a, b), weight in links.items() if found[a] != found[b])
    assert lost == networkx.minimum_cut_value(graph, *pair)
    assert set(found.tolist()) == {0, 1}
    assert found[pair[0]] != found[pair[1]]


@given(LINKS, st.lists(st.lists(st.integers(0, 7), min_size=2, max_size=4, unique=True), max_size=3), st.randoms())
def test_no_rule_is_left_broken_and_the_order_of_links_has_no_influence(links, groups, random):
    apart = apart_of(groups, 8)
    found = cut_violations(network_of(links, 8), np.zeros(8, np.int32), apart)
    assert apart.violations(found) == 0
    order = list(links)
    random.shuffle(order)
    again = cut_violations(network_of({pair: links[pair] for pair in order}, 8), np.zeros(8, np.int32), apart)
    np.testing.assert_array_equal(again, found)


def test_other_communities_keep_their_numbers():
    links = planted_links(3, 6, 60, 0)
    of = np.repeat([0, 1, 2], 6).astype(np.int32)
    found = cut_violations(network_of(links, 18), of, apart_of([[6, 11]], 18))
    np.testing.assert_array_equal(found[of != 1], of[of != 1])
    assert set(found[6:12].tolist()) == {1, 3}


def test_values_are_parted():
    """Two pairs of equal values, tied to each other more than to the rest."""
    value = np.array([[0], [0], [-1], [1], [1], [2]], np.int32)
    links = {(a, b): 1.0 if (a, b) in ((0, 1), (3, 4)) else 0.1 for a, b in pairs_of(6)}
    found = cut_violations(network_of(links, 6), np.zeros(6, np.int32), apart_of([], 6, value))
    assert found[0] == found[1]
    assert found[3] == found[4]
    assert len({int(found[0]), int(found[3]), int(found[5])}) == 3


def test_parallel_links_count_together():
    """Of a path 0 - 1 - 2, whose first link is there twice, the second is lighter."""
    source, target = np.array([0, 1, 0], np.int32), np.array([1, 2, 1], np.int32)
    network = undirected(source, target, np.array([0.4, 0.5, 0.4], np.float32), np.arange(3, dtype=np.int32), 1)
    found = cut_violations(network, np.zeros(3, np.int32), apart_of([[0, 2]], 3))
    assert found.tolist() == [0, 0, 1]
