import dataclasses

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infomap import Infomap

from raycluster.kernels.map_equation import codelength, moves, solve
from raycluster.stages.engines import written_partition

FLOWS = pytest.mark.parametrize("directed", [False, True])


def columns(pairs, weights=None):
    """source, target and weight of a list of pairs."""
    pairs = np.array(pairs, np.int32).reshape(-1, 2)
    weight = np.ones(len(pairs)) if weights is None else weights
    return pairs[:, 0].copy(), pairs[:, 1].copy(), np.asarray(weight, np.float32)


def random_graph(nodes, links, seed, lightest=0.1):
    """Any links: self-links, duplicates and both directions among them."""
    rng = np.random.default_rng(seed)
    return columns(rng.integers(0, nodes, (links, 2)), rng.uniform(lightest, 2, links))


def planted(groups, size, links, seed, within=0.8):
    """Groups whose nodes link to each other more than to others; nodes are numbered at random."""
    rng = np.random.default_rng(seed)
    source = rng.integers(0, groups * size, links)
    near = source // size * size + rng.integers(0, size, links)
    target = np.where(rng.random(links) < within, near, rng.integers(0, groups * size, links))
    number = rng.permutation(groups * size)
    return columns(np.column_stack([number[source], number[target]]), rng.uniform(0.2, 1, links))


def plogp(x):
    x = np.asarray(x)[np.asarray(x) > 0]
    return (x * np.log2(x)).sum()


def link_flows(source, target, weight, nodes, directed):
    """Oracle on a dense matrix: what flows from row to column; sums to 1."""
    matrix = np.zeros((nodes, nodes))
    np.add.at(matrix, (source[weight > 0], target[weight > 0]), weight[weight > 0].astype(float))
    if not directed:
        both = matrix + matrix.T - np.diag(np.diag(matrix))
        return both / both.sum()
    out = matrix.sum(axis=1)
    to = out / out.sum()
    step = np.divide(matrix, out[:, None], out=np.zeros_like(matrix), where=out[:, None] > 0)
    everywhere = 0.85 * (step + np.outer(out == 0, to)) + 0.15 * to
    rate = to
    for _ in range(400):
        rate = rate @ everywhere
    flow = rate[:, None] * step
    return flow / flow.sum()


def oracle(flow, membership):
    """The map equation, term by term, of link flows (N, N)."""
    enter, leave, both = [], [], []
    for module in np.unique(membership):
        own = membership == module
        enter.append(flow[np.ix_(~own, own)].sum())
        leave.append(flow[np.ix_(own, ~own)].sum())
        both.append(leave[-1] + flow[:, own].sum())
    return plogp([sum(enter)]) - plogp(enter) - plogp(leave) + plogp(both) - plogp(flow.sum(axis=0))


def infomap(source, target, weight, directed, seed=1, membership=None):
    """Codelength and modules by Infomap, of its own partition or of the one given."""
    options = f"--silent --two-level --seed {seed} --flow-model {'directed' if directed else 'undirected'}"
    engine = Infomap(options + (" --no-infomap" if membership is not None else ""))
    for one, other, each in zip(source.tolist(), target.tolist(), weight.tolist(), strict=True):
        engine.add_link(one, other, each)
    given_modules = None if membership is None else dict(enumerate(np.asarray(membership).tolist()))
    result = engine.run(initial_partition=given_modules)
    node, module, _ = written_partition(result)
    return result.codelength, dict(zip(node.tolist(), module.tolist(), strict=True))


GRAPHS = st.tuples(st.integers(2, 20), st.integers(1, 60), st.integers(0, 10**6))


@settings(max_examples=60, deadline=None)
@given(GRAPHS, st.booleans())
def test_codelength_and_flow_are_the_formula_on_matrices(case, directed):
    nodes, links, seed = case
    graph = random_graph(nodes, links, seed, lightest=-0.5)
    membership = np.random.default_rng(seed).integers(-2, 3, nodes)
    if not (graph[2] > 0).any():
        return
    flow = link_flows(*graph, nodes, directed)
    assert codelength(*graph, membership, directed=directed) == pytest.approx(oracle(flow, membership), abs=1e-6)
    found = solve(*graph, nodes, directed=directed)
    np.testing.assert_allclose(found.flow, flow.sum(axis=0), atol=1e-9)
    assert found.codelength == pytest.approx(oracle(flow, found.communities), abs=1e-6)


@FLOWS
@pytest.mark.parametrize("seed", range(4))
def test_codelength_equals_infomaps_for_the_same_partition(directed, seed):
    graph = random_graph(50, 400, seed)
    membership = np.random.default_rng(seed).integers(0, 6, 50)
    expected, _ = infomap(*graph, directed, membership=membership)
    assert codelength(*graph, membership, directed=directed) == pytest.approx(expected, abs=1e-6)


def partitions(nodes):
    """Every partition of nodes, as restricted growth strings."""
    found = [[0]]
    for _ in range(nodes - 1):
        found = [[*each, module] for each in found for module in range(max(each) + 2)]
    return np.array(found)


@pytest.mark.slow
@FLOWS
def test_the_best_of_five_seeds_is_mostly_the_optimum_of_small_graphs(directed):
    exact, cases = 0, 30
    for case in range(cases):
        nodes = 4 + case % 4
        graph = random_graph(nodes, 2 * nodes, case)
        flow = link_flows(*graph, nodes, directed)
        best = min(oracle(flow, membership) for membership in partitions(nodes))
        found = min(solve(*graph, nodes, directed=directed, seed=seed).codelength for seed in range(5))
        assert found > best - 1e-6
        exact += found < best + 1e-6
    assert exact >= 0.9 * cases


@FLOWS
@pytest.mark.parametrize("within", [0.95, 0.7, 0.5])
def test_no_more_bits_than_infomap_on_planted_groups(directed, within):
    graph = planted(40, 25, 12_000, 5, within)
    expected = min(infomap(*graph, directed, seed)[0] for seed in (1, 2, 3))
    found = min(solve(*graph, 1000, directed=directed, seed=seed).codelength for seed in (1, 2, 3))
    assert found <= expected * 1.0005


def test_planted_groups_are_found():
    graph = planted(30, 30, 20_000, 1, within=0.9)
    found = solve(*graph, 900)
    _, modules = infomap(*graph, directed=False)
    assert len(set(modules.values())) == found.communities.max() + 1 == 30
    pairs = {(found.communities[node], module) for node, module in modules.items()}
    assert len(pairs) == 30


@FLOWS
@pytest.mark.parametrize("change", ["order", "threads", "split"])
@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6))
def test_threads_order_and_split_links_change_nothing(directed, change, seed):
    source, target, weight = planted(8, 12, 700, seed, within=0.6)
    weight = np.round(weight * 4096) / 4096
    rng = np.random.default_rng(seed)
    base = solve(source, target, weight, 96, directed=directed, seed=seed, threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moves, "LINKS_A_THREAD", 1)
        if change == "order":
            order = rng.permutation(len(source))
            source, target, weight = source[order], target[order], weight[order]
            if not directed:
                turned = rng.random(len(source)) < 0.5
                source, target = np.where(turned, target, source), np.where(turned, source, target)
        elif change == "split":
            part = np.round(weight * 1024) / 4096
            source, target = np.tile(source, 2), np.tile(target, 2)
            weight = np.concatenate([weight - part, part])
        found = solve(source, target, weight, 96, directed=directed, seed=seed, threads=2)
    np.testing.assert_array_equal(found.communities, base.communities)
    np.testing.assert_array_equal(found.flow, base.flow)
    assert found.codelength == base.codelength


@FLOWS
def test_other_numbers_of_the_nodes_give_the_same_codelength(directed):
    source, target, weight = planted(20, 20, 5000, 3)
    base = solve(source, target, weight, 400, directed=directed)
    number = np.random.default_rng(0).permutation(400).astype(np.int32)
    renamed = (number[source], number[target], weight)
    membership = np.empty(400, np.int32)
    membership[number] = base.communities
    assert codelength(*renamed, membership, directed=directed) == pytest.approx(base.codelength, rel=1e-7)
    assert solve(*renamed, 400, directed=directed).codelength == pytest.approx(base.codelength, rel=1e-3)


def rings_of_cliques(rings, cliques=4, size=5):
    """Disjoint rings of small cliques, each joined to the next by several links: few modules at a large scale."""
    rng = np.random.default_rng(2)
    pairs = []
    for ring in range(rings):
        base = ring * cliques * size
        for clique in range(cliques):
            nodes = base + clique * size + np.arange(size)
            following = base + (clique + 1) % cliques * size + np.arange(size)
            pairs += [(a, b) for a in nodes for b in nodes if a < b]
            pairs += list(zip(rng.choice(nodes, 3), rng.choice(following, 3), strict=True))
    return columns(pairs)


def test_disjoint_components_are_solved_as_one_graph_not_each_alone():
    rings, each = 40, 20
    graph = rings_of_cliques(rings)
    found = solve(*graph, rings * each)
    expected, modules = infomap(*graph, directed=False)
    alone = 0
    for ring in range(rings):
        own = graph[0] // each == ring
        part = solve(graph[0][own] - ring * each, graph[1][own] - ring * each, graph[2][own], each)
        alone += part.communities.max() + 1
    assert found.codelength == pytest.approx(expected, rel=5e-4)
    assert abs(int(found.communities.max()) + 1 - len(set(modules.values()))) <= 2
    assert alone > 2 * (found.communities.max() + 1)
    assert len(np.unique(np.column_stack([found.communities, np.arange(rings * each) // each]), axis=0)) == (
        found.communities.max() + 1
    )


def test_a_graph_without_structure_is_one_module_as_for_infomap():
    graph = columns(list(networkx.complete_graph(30).edges))
    found = solve(*graph, 32)
    expected, modules = infomap(*graph, directed=False)
    assert found.communities.tolist() == [0] * 30 + [1, 2]
    assert len(set(modules.values())) == 1
    assert found.codelength == pytest.approx(expected) == pytest.approx(np.log2(30))


def test_the_karate_club():
    graph = columns(list(networkx.karate_club_graph().edges))
    best = min((solve(*graph, 34, seed=seed) for seed in range(5)), key=lambda found: found.codelength)
    expected = min(infomap(*graph, False, seed)[0] for seed in range(1, 6))
    assert best.codelength == pytest.approx(expected, rel=1e-6)
    assert best.communities.max() + 1 == 3


@FLOWS
def test_nodes_without_links_and_links_without_weight(directed):
    graph = columns([(1, 4), (4, 1), (2, 3), (5, 5), (0, 2)], [1, 1, 0, -1, np.nan])
    found = solve(*graph, 7, directed=directed)
    assert found.communities.tolist() == [0, 1, 2, 3, 1, 4, 5]
    assert found.communities.dtype == np.int32
    assert found.flow.tolist() == pytest.approx([0, 0.5, 0, 0, 0.5, 0, 0], abs=1e-9)
    assert found.codelength == pytest.approx(1)


@FLOWS
@pytest.mark.parametrize("nodes", [0, 1, 5])
def test_no_links_cost_no_bits(directed, nodes):
    found = solve(*columns([]), nodes, directed=directed)
    assert found.communities.tolist() == list(range(nodes))
    assert found.flow.tolist() == [0] * nodes
    assert found.codelength == 0
    assert codelength(*columns([]), np.zeros(nodes, int), directed=directed) == 0


@FLOWS
def test_self_links_keep_flow_where_it_is(directed):
    alone = solve(*columns([(2, 2)]), 3, directed=directed)
    assert alone.communities.tolist() == [0, 1, 2]
    assert alone.flow.tolist() == [0, 0, 1]
    pair = columns([(0, 1), (1, 0), (0, 0), (1, 1)], [1, 1, 50, 50])
    expected, modules = infomap(*pair, directed)
    found = solve(*pair, 2, directed=directed)
    assert len(set(found.communities.tolist())) == len(set(modules.values()))
    assert found.codelength == pytest.approx(expected, abs=1e-6)


def test_direction_decides_where_flow_goes():
    pairs = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (2, 3), (6, 0)]
    turned = [*pairs[:-1], (0, 6)]
    assert solve(*columns(pairs), 7, directed=True).flow[6] == 0
    assert solve(*columns(turned), 7, directed=True).flow[6] > 0.04
    assert solve(*columns(pairs), 7).flow[6] == solve(*columns(turned), 7).flow[6] > 0


def test_seeds_repeat_and_differ():
    graph = columns(list(networkx.gnm_random_graph(150, 260, seed=1).edges))
    found = [solve(*graph, 150, seed=seed) for seed in range(6)]
    again = solve(*graph, 150, seed=3)
    assert again.communities.tolist() == found[3].communities.tolist()
    assert again.codelength == found[3].codelength
    assert len({each.communities.tobytes() for each in found}) > 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        again.codelength = 0.0


@pytest.mark.parametrize(("pair", "weight"), [((0, 3), 1), ((-1, 0), 1), ((0, 1), np.inf)])
def test_what_is_no_graph_is_refused(pair, weight):
    with pytest.raises(AssertionError):
        solve(*columns([pair], [weight]), 3)
