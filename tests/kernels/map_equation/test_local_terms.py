"""The closed forms at frozen mu against exact differences of the map equation."""

import numpy as np
import pytest

from raycluster.kernels.map_equation import codelength, solve
from raycluster.kernels.map_equation import flow as flows
from raycluster.kernels.map_equation.flow import Flows
from raycluster.kernels.map_equation.local_terms import community_flows, frozen_mu, merge_gain, move_gain, terms


def planted(groups, size, links, seed, within=0.85):
    rng = np.random.default_rng(seed)
    source = rng.integers(0, groups * size, links)
    near = source // size * size + rng.integers(0, size, links)
    target = np.where(rng.random(links) < within, near, rng.integers(0, groups * size, links))
    kept = source != target
    return (
        source[kept].astype(np.int32),
        target[kept].astype(np.int32),
        rng.uniform(0.2, 1, kept.sum()).astype(np.float32),
    )


def network_of(graph, nodes, directed=False):
    return (flows.directed if directed else flows.undirected)(*graph, np.arange(nodes, dtype=np.int32), 1)


@pytest.fixture(scope="module")
def solved():
    """4,800 nodes in about 400 communities, as in the paper trail: links, network, communities, their flows, mu, total."""
    graph = planted(400, 12, 18_000, 0)
    of = solve(*graph, 4800).communities
    network = network_of(graph, 4800)
    own = community_flows(network, of, int(of.max()) + 1)
    return graph, network, of, own, frozen_mu(own.enter), network.flow.sum()


def one(columns, at):
    return Flows(*(column[at] for column in columns))


def joint(graph, first, second):
    source, target, weight = graph
    return weight[
        (np.isin(source, first) & np.isin(target, second)) | (np.isin(source, second) & np.isin(target, first))
    ].sum()


def test_terms_add_up_to_the_codelength_but_for_a_constant(solved):
    graph, network, of, own, mu, total = solved
    other = of.copy()
    other[:3] = other[-1]
    after = community_flows(network, other, len(own.flow))
    expected = (codelength(*graph, other) - codelength(*graph, of)) * total
    drift = (after.enter.sum() - own.enter.sum()) ** 2 / (2 * np.log(2) * own.enter.sum())
    assert terms(after, mu).sum() - terms(own, mu).sum() == pytest.approx(expected, abs=drift + 1e-6)


def test_merges_agree_with_the_exact_difference(solved):
    graph, _, of, own, mu, total = solved
    rng, before = np.random.default_rng(1), codelength(*graph, of)
    crossing = np.flatnonzero(of[graph[0]] != of[graph[1]])
    for link in rng.choice(crossing, 60, replace=False):
        a, b = of[graph[0][link]], of[graph[1][link]]
        between = joint(graph, np.flatnonzero(of == a), np.flatnonzero(of == b))
        gain = merge_gain(one(own, a), one(own, b), between, mu)
        exact = (before - codelength(*graph, np.where(of == b, a, of))) * total
        # Second order: the change of the exit weight squared over 2 ln 2 E.
        assert gain == pytest.approx(exact, abs=(2 * between) ** 2 / (2 * np.log(2) * own.enter.sum()) + 1e-3)
        assert np.sign(gain) == np.sign(exact)


def test_moves_agree_with_the_exact_difference(solved):
    graph, network, of, own, mu, total = solved
    rng, before = np.random.default_rng(2), codelength(*graph, of)
    crossing = np.flatnonzero(of[graph[0]] != of[graph[1]])
    for link in rng.choice(crossing, 60, replace=False):
        node, to = graph[0][link], of[graph[1][link]]
        rest = np.flatnonzero((of == of[node]) & (np.arange(len(of)) != node))
        home, away = joint(graph, [node], rest), joint(graph, [node], np.flatnonzero(of == to))
        gain = move_gain(one(network.flows, node), one(own, of[node]), one(own, to), home, away, mu)
        moved = of.copy()
        moved[node] = to
        exact = (before - codelength(*graph, moved)) * total
        assert gain == pytest.approx(exact, abs=0.1)
        assert np.sign(gain) == np.sign(exact)


def test_directed_merges_agree_too():
    graph = planted(60, 10, 4000, 3)
    of = solve(*graph, 600, directed=True).communities
    network = network_of(graph, 600, directed=True)
    own = community_flows(network, of, int(of.max()) + 1)
    mu, before, rows = frozen_mu(own.enter), codelength(*graph, of, directed=True), network.rows
    ends = np.repeat(np.arange(600), np.diff(rows.start))
    crossing = np.flatnonzero(of[ends] != of[rows.neighbor])
    for at in np.random.default_rng(0).choice(crossing, 20, replace=False):
        a, b = of[ends[at]], of[rows.neighbor[at]]
        between = rows.weight[(of[ends] == a) & (of[rows.neighbor] == b)].sum()
        exact = before - codelength(*graph, np.where(of == b, a, of), directed=True)
        assert merge_gain(one(own, a), one(own, b), between, mu) == pytest.approx(exact, abs=1e-4)


def test_without_exits_mu_is_zero():
    assert frozen_mu(np.zeros(3)) == 0.0
