"""The local solver against all partitions of small graphs, against its own parts on larger ones, and its promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.map_equation import codelength, local, solve
from raycluster.kernels.map_equation.local_terms import community_flows, frozen_mu
from support.living_graphs import apart_of, best_cost, cost, network_of, pairs_of, planted_links

WEIGHTS = st.sampled_from([0.0, 0.25, 0.5, 0.5, 0.75, 1.0])
"""Few values, so that ties are common; 0 removes a link."""


def everything(network, mu, apart=None, **options):
    """A full solve at this mu: every node touched, every node alone at the start."""
    return local.solve(
        network, np.full(network.nodes, -1, np.int32), np.arange(network.nodes), mu, apart=apart, **options
    )


def present(links):
    return {pair: weight for pair, weight in links.items() if weight > 0}


@st.composite
def histories(draw):
    """Nodes, mu, and steps of changes: links with a new weight, and groups to be kept apart from then on or no more."""
    nodes = draw(st.integers(2, 8))
    change = st.dictionaries(st.sampled_from(pairs_of(nodes)), WEIGHTS, max_size=2 * nodes)
    groups = st.lists(st.lists(st.integers(0, nodes - 1), min_size=2, max_size=3, unique=True), max_size=2)
    steps = draw(st.lists(st.tuples(change, groups), min_size=1, max_size=3))
    return nodes, draw(st.sampled_from([0.5, 2.0, 4.0, 7.0])), steps


@pytest.mark.slow
@settings(max_examples=60)
@given(histories())
def test_local_equals_full_equals_the_best_of_all_partitions(history):
    nodes, mu, steps = history
    links, groups, of, own = {}, [], np.full(nodes, -1, np.int32), None
    for changed, new_groups in steps:
        touched = {node for pair, weight in changed.items() if links.get(pair, 0.0) != weight for node in pair}
        touched |= {node for group in groups + new_groups for node in group if groups != new_groups}
        touched |= set(np.flatnonzero(of < 0).tolist())
        links, groups = {**links, **changed}, new_groups
        network, apart = network_of(present(links), nodes), apart_of(groups, nodes)
        found = local.solve(network, of, np.array(sorted(touched), np.int64), mu, flows=own, apart=apart, rounds=None)
        full = everything(network, mu, apart)
        np.testing.assert_array_equal(found.communities, full.communities)
        assert apart.violations(found.communities) == 0
        assert cost(network, found.communities, mu) == pytest.approx(best_cost(network, apart, mu), abs=1e-9)
        for column, expected in zip(
            found.flows, community_flows(network, found.communities, len(found.flows.flow)), strict=True
        ):
            np.testing.assert_allclose(column, expected, atol=1e-9)
        of, own = found.communities, found.flows


@settings(max_examples=40)
@given(histories(), st.randoms(use_true_random=False))
def test_moves_merges_and_splits_come_close_to_the_best(history, random):
    """Without the exact solver: never worse than the start, rules hold, the order of links changes nothing."""
    nodes, mu, steps = history
    links, groups = present(steps[-1][0]), steps[-1][1]
    network, apart = network_of(links, nodes), apart_of(groups, nodes)
    start = np.arange(nodes, dtype=np.int32)
    found = local.solve(network, start, start, mu, apart=apart, rounds=None, largest_exact=0)
    assert apart.violations(found.communities) == 0
    assert cost(network, found.communities, mu) <= cost(network, start, mu) + 1e-9
    shuffled = list(links)
    random.shuffle(shuffled)
    other = network_of({pair: links[pair] for pair in shuffled}, nodes)
    again = local.solve(other, start, start, mu, apart=apart, rounds=None, largest_exact=0)
    np.testing.assert_array_equal(again.communities, found.communities)


def test_search_finds_the_best_of_most_small_graphs():
    """How good the search is where all partitions can be tried: 200 random graphs of 7 nodes, none of them solved exactly."""
    equal, lost = 0, []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        links = {pair: float(np.float32(rng.uniform(0.1, 1))) for pair in pairs_of(7) if rng.random() < 0.45}
        network, mu = network_of(links, 7), rng.uniform(1, 5)
        best = cost(network, everything(network, mu).communities, mu)
        own = cost(network, everything(network, mu, largest_exact=0).communities, mu)
        assert own >= best - 1e-9
        equal += own <= best + 1e-9
        lost.append((own - best) / network.flow.sum())
    assert equal >= 160
    assert np.mean(lost) < 0.005


@pytest.fixture(scope="module")
def planted():
    """2,400 nodes in about 200 communities: links, network, communities of the global solve, flows, mu."""
    links = planted_links(200, 12, 11_000, 0)
    pairs = np.array(list(links), np.int32)
    of = solve(pairs[:, 0].copy(), pairs[:, 1].copy(), np.array(list(links.values()), np.float32), 2400).communities
    network = network_of(links, 2400)
    own = community_flows(network, of, int(of.max()) + 1)
    return links, network, of, own, frozen_mu(own.enter)


def test_the_global_solution_is_nearly_a_fixed_point(planted):
    _, network, of, own, mu = planted
    found = local.solve(network, of, np.arange(2400), mu, flows=own, rounds=None)
    assert found.is_complete
    total = network.flow.sum()
    assert 0 <= (cost(network, of, mu) - cost(network, found.communities, mu)) / total < 0.02
    again = local.solve(network, found.communities, np.arange(2400), mu, flows=found.flows, rounds=None)
    np.testing.assert_array_equal(again.communities, found.communities)


def test_from_single_nodes_it_is_as_good_as_the_global_solver(planted):
    _, network, of, _, mu = planted
    found = everything(network, mu, rounds=None)
    assert cost(network, found.communities, mu) <= cost(network, of, mu) + 0.005 * network.flow.sum()


def test_new_rows_touch_their_own_neighborhood_only(planted):
    links, _, _, _, mu = planted
    old = {pair: weight for pair, weight in links.items() if pair[1] < 2388}
    before = everything(network_of(old, 2400), mu, rounds=None)
    start = before.communities.copy()
    start[2388:] = -1
    _, start[:2388] = np.unique(start[:2388], return_inverse=True)
    network = network_of(links, 2400)
    touched = np.unique([node for pair in links for node in pair if pair[1] >= 2388])
    found = local.solve(network, start, touched, mu)
    assert 1 <= found.rounds <= local.ROUNDS
    assert found.solved < 600
    full = everything(network, mu, rounds=None)
    assert cost(network, found.communities, mu) <= cost(network, full.communities, mu) + 0.003 * network.flow.sum()
    assert (found.communities[2388:] == found.communities[2388]).mean() > 0.5


def test_communities_that_take_new_nodes_in_are_opened_where_that_gains(planted):
    """The last node of every third community is new: nearly all go where they belong, and few old nodes are placed again."""
    links, network, of, _, _ = planted
    last = np.unique(of[::-1], return_index=True)[1]
    new = np.sort(2399 - last[::3])
    start = of.copy()
    start[new] = -1
    start[start >= 0] = np.unique(start[start >= 0], return_inverse=True)[1]
    near = np.unique([node for pair in links if np.isin(pair, new).any() for node in pair])
    found = local.solve(network, start, np.empty(0, np.int64), None, reached=near)
    whole = local.solve(network, start, near, None)
    assert found.solved < whole.solved / 2
    assert exact_codelength(links, found.communities) < exact_codelength(links, whole.communities) + 0.002
    assert (found.communities[new][:, None] == found.communities[new]).sum() == len(new)


def test_communities_that_lose_nodes_are_opened_where_they_fall_apart():
    """Three cliques of 12; the only nodes that hold two of them together go, and the third loses one of its nodes."""
    pairs = [(a, b) for a, b in pairs_of(39) if a // 12 == b // 12 < 3]
    bridge = [(36 + a, b) for a in range(2) for b in (0, 1, 12, 13)]
    links = {tuple(sorted(pair)): 1.0 for pair in [*pairs, *bridge, (38, 24), (38, 25)]}
    of = np.repeat([0, 0, 1, 0, 1], [12, 12, 12, 2, 1]).astype(np.int32)
    left = {pair: weight for pair, weight in links.items() if pair[1] < 36}
    start = of.copy()
    start[36:] = -1
    lost = np.array([0, 1, 12, 13, 24, 25])
    found = local.solve(network_of(left, 39), start, np.empty(0, np.int64), 10.0, lost=lost)
    np.testing.assert_array_equal(found.communities[:36], np.repeat([0, 1, 2], 12))
    assert found.solved == 24


def test_nothing_touched_changes_nothing(planted):
    _, network, of, own, mu = planted
    found = local.solve(network, of, np.empty(0, np.int64), mu, flows=own)
    np.testing.assert_array_equal(found.communities, of)
    assert (found.rounds, found.solved, found.is_complete) == (0, 0, True)
    for column, expected in zip(found.flows, own, strict=True):
        np.testing.assert_array_equal(column, expected)


def test_a_community_whose_link_vanished_falls_apart():
    cliques = {(a, b): 1.0 for a, b in pairs_of(20) if a // 10 == b // 10}
    bridge = {(9, 10): 1.0}
    whole = np.zeros(20, np.int32)
    found = local.solve(network_of(cliques, 20), whole, np.array([9, 10]), 10.0)
    np.testing.assert_array_equal(found.communities, np.repeat([0, 1], 10))
    assert local.solve(network_of({**cliques, **bridge}, 20), whole, np.array([9, 10]), 100.0).communities.max() == 0


def test_a_piece_that_becomes_small_leaves_the_rest_as_it_is():
    """Nodes 0..2 lose their link to a clique of 12; one solver takes the three, the other the twelve."""
    links = {(a, b): 1.0 for a, b in pairs_of(15) if a >= 3 or b < 3}
    found = local.solve(network_of(links, 15), np.zeros(15, np.int32), np.array([2, 3]), 10.0)
    np.testing.assert_array_equal(found.communities, np.repeat([0, 1], [3, 12]))


def test_rules_cut_communities_and_veto_moves(planted):
    _, network, of, own, mu = planted
    rng = np.random.default_rng(5)
    groups = [
        rng.choice(np.flatnonzero(of == of[node]), 2, replace=False).tolist() for node in rng.integers(0, 2400, 20)
    ]
    groups += [rng.choice(2400, 6, replace=False).tolist() for _ in range(5)]
    apart = apart_of(groups, 2400)
    assert apart.violations(of) > 15
    found = local.solve(network, of, np.unique(np.concatenate(groups)), mu, flows=own, apart=apart, rounds=None)
    assert apart.violations(found.communities) == 0
    untouched = ~np.isin(of, of[np.unique(np.concatenate(groups))])
    assert (np.bincount(of)[of[untouched]] == np.bincount(found.communities)[found.communities[untouched]]).mean() > 0.9


def test_values_of_a_column_part_communities(planted):
    _, network, of, _, mu = planted
    value = np.where(np.arange(2400) % 3 == 0, np.arange(2400) % 5, -1).astype(np.int32)[:, None]
    apart = apart_of([], 2400, value)
    assert apart.violations(of) > 100
    for start in (of, np.full(2400, -1, np.int32)):
        assert apart.violations(local.solve(network, start, np.arange(2400), mu, apart=apart).communities) == 0


def test_directed_networks_are_solved_too():
    links = planted_links(40, 10, 2500, 7)
    network = network_of(links, 400, directed=True)
    pairs, weight = np.array(list(links), np.int32), np.array(list(links.values()), np.float32)
    of = solve(pairs[:, 0].copy(), pairs[:, 1].copy(), weight, 400, directed=True).communities
    mu = frozen_mu(community_flows(network, of, int(of.max()) + 1).enter)
    found = everything(network, mu, rounds=None)
    assert cost(network, found.communities, mu) <= cost(network, of, mu) + 0.005


def test_rounds_are_counted_and_bounded():
    """A chain of equal links solved from one end at a mu that makes long communities: what is reached grows by rounds."""
    links = {(node, node + 1): 1.0 for node in range(59)}
    network, start = network_of(links, 60), np.arange(60, dtype=np.int32)
    one = local.solve(network, start, np.array([0]), 9.0, rounds=1)
    every = local.solve(network, start, np.array([0]), 9.0, rounds=None)
    assert (one.rounds, one.is_complete) == (1, False)
    assert every.rounds > 1
    assert every.is_complete
    assert cost(network, every.communities, 9.0) < cost(network, one.communities, 9.0)


def exact_codelength(links, membership):
    pairs, weight = np.array(list(links), np.int32), np.array(list(links.values()), np.float32)
    return codelength(pairs[:, 0].copy(), pairs[:, 1].copy(), weight, membership)


def test_carried_exits_shorten_the_whole_map_equation(planted):
    """Without mu a solve never makes the code longer, from any start."""
    links, network, of, own, _ = planted
    for start in (of, np.arange(2400, dtype=np.int32), (np.arange(2400) // 30).astype(np.int32)):
        found = local.solve(network, start, np.arange(2400), None, rounds=None)
        assert exact_codelength(links, found.communities) <= exact_codelength(links, start) + 1e-9
    touched = np.arange(0, 2400, 50)
    again = local.solve(network, of, touched, None, flows=own)
    assert exact_codelength(links, again.communities) <= exact_codelength(links, of) + 1e-9


def test_large_communities_stay_whole_where_exits_are_few():
    """Two communities of 60 with one weak link between them: E is next to nothing, and so is a frozen mu."""
    rng = np.random.default_rng(0)
    links = {(a, b): 1.0 for a, b in pairs_of(120) if a // 60 == b // 60 and rng.random() < 0.3}
    links[59, 60] = 0.05
    network, of = network_of(links, 120), np.repeat([0, 1], 60).astype(np.int32)
    mu = frozen_mu(community_flows(network, of, 2).enter)
    assert local.solve(network, of, np.arange(120), mu).communities.max() > 1
    np.testing.assert_array_equal(local.solve(network, of, np.arange(120), None).communities, of)
