import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infomap import Infomap

from raycluster.config.stages import CommunitiesConfig
from raycluster.errors import ResourceError
from raycluster.stages import engines
from raycluster.stages.engines import numbered_by_first_row, partition, require_memory, written_partition

INFOMAP = CommunitiesConfig(engine="infomap")
NATIVE = CommunitiesConfig(engine="native")
COMPONENTS = CommunitiesConfig(engine="components")


def columns(pairs, weights=None):
    """source, target and weight of a list of pairs."""
    pairs = np.array(pairs, np.int32).reshape(-1, 2)
    weight = np.ones(len(pairs)) if weights is None else weights
    return pairs[:, 0].copy(), pairs[:, 1].copy(), np.asarray(weight, np.float32)


def clique(rows):
    return [(a, b) for a in rows for b in rows if a < b]


def planted(groups, size, seed, noise=0.02):
    """A random graph of dense groups with a few links between them, weights a float32 holds exactly."""
    rng = np.random.default_rng(seed)
    rows = groups * size
    group = np.arange(rows) // size
    a, b = np.triu_indices(rows, 1)
    kept = rng.random(len(a)) < np.where(group[a] == group[b], 0.6, noise)
    return *columns(np.column_stack([a[kept], b[kept]]), rng.integers(1, 17, kept.sum()) / 16), rows


def direct_infomap(source, target, weight, rows, seed, flow):
    """Communities and codelength by Infomap's own interface, left-out rows as singletons."""
    solver = Infomap(f"--silent --two-level --num-trials 1 --seed {seed} --flow-model {flow}")
    for a, b, w in zip(source.tolist(), target.tolist(), weight.tolist(), strict=True):
        solver.add_link(a, b, w)
    result = solver.run()
    membership = -1 - np.arange(rows)
    node, module, _ = written_partition(result)
    membership[node] = module
    return numbered_by_first_row(membership), result.codelength


@pytest.mark.parametrize("config", [INFOMAP, NATIVE])
def test_two_cliques_joined_by_a_weak_edge_are_two_communities(config):
    edges = columns([*clique(range(5)), *clique(range(5, 10)), (4, 5)], [1.0] * 20 + [0.1])
    found = partition(*edges, 10, config, directed=False)
    assert found.communities.tolist() == [0] * 5 + [1] * 5
    assert found.communities.dtype == np.int32
    assert found.flow.sum() == pytest.approx(1)
    assert found.codelength > 0
    assert partition(*edges, 10, COMPONENTS, directed=False).communities.tolist() == [0] * 10


@pytest.mark.parametrize("config", [INFOMAP, NATIVE, COMPONENTS])
@pytest.mark.parametrize("directed", [False, True])
def test_rows_without_edges_are_singletons(config, directed):
    found = partition(*columns([(1, 4), (4, 1)]), 6, config, directed)
    assert found.communities.tolist() == [0, 1, 2, 3, 1, 4]
    none = partition(*columns([]), 3, config, directed)
    assert none.communities.tolist() == [0, 1, 2]
    assert none.flow.tolist() == [0, 0, 0]
    assert none.codelength == 0


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40).flatmap(
        lambda rows: st.tuples(
            st.just(rows),
            st.lists(st.tuples(st.integers(0, rows - 1), st.integers(0, rows - 1)), max_size=50),
        )
    )
)
def test_components_equal_networkx(graph):
    rows, pairs = graph
    oracle = networkx.Graph(pairs)
    oracle.add_nodes_from(range(rows))
    expected = np.empty(rows, int)
    for number, members in enumerate(sorted(networkx.connected_components(oracle), key=min)):
        expected[list(members)] = number
    for directed in (False, True):
        found = partition(*columns(pairs), rows, COMPONENTS, directed)
        assert found.communities.tolist() == expected.tolist()


@pytest.mark.parametrize("seed", [1, 2, 7])
@pytest.mark.parametrize("flow", ["directed", "undirected"])
def test_infomap_equals_calling_it_directly_with_the_seed(monkeypatch, seed, flow):
    *edges, rows = planted(8, 12, seed)
    expected, codelength = direct_infomap(*edges, rows, seed, flow)
    monkeypatch.setattr(engines, "LINKS_PER_CALL", 100)
    found = partition(*edges, rows, CommunitiesConfig(seed=seed), directed=flow == "directed")
    assert found.communities.tolist() == expected.tolist()
    assert found.codelength == pytest.approx(codelength, rel=1e-12)
    assert 1 < found.communities.max() + 1 < rows


@pytest.mark.parametrize("config", [INFOMAP, NATIVE])
def test_planted_groups_are_found(config):
    *edges, rows = planted(10, 15, 0)
    found = partition(*edges, rows, config, directed=False)
    assert found.communities.tolist() == (np.arange(rows) // 15).tolist()


def test_direction_matters_only_when_directed():
    pairs = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (2, 3), (6, 0), (6, 3)]
    turned = [(a, b) if a < 6 else (b, a) for a, b in pairs]
    flows = {
        (name, directed): partition(*columns(edges), 7, INFOMAP, directed).flow
        for name, edges in (("as-is", pairs), ("turned", turned))
        for directed in (False, True)
    }
    np.testing.assert_allclose(flows["as-is", False], flows["turned", False])
    assert not np.allclose(flows["as-is", True], flows["turned", True])
    assert not np.allclose(flows["as-is", True], flows["as-is", False])


@pytest.mark.parametrize("engine", ["infomap", "native"])
def test_a_row_without_out_edges_stays_in_the_community_that_links_to_it(engine):
    pairs = [*clique(range(6)), *[(b, a) for a, b in clique(range(6))], *[(a, 6) for a in range(6)]]
    config = CommunitiesConfig(engine=engine)
    assert partition(*columns(pairs), 8, config, directed=True).communities.tolist() == [0] * 7 + [1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-5, 10), min_size=1, max_size=40))
def test_numbers_follow_the_lowest_row_of_each_community(membership):
    numbers: dict[int, int] = {}
    expected = [numbers.setdefault(value, len(numbers)) for value in membership]
    found = numbered_by_first_row(np.array(membership))
    assert found.dtype == np.int32
    assert found.tolist() == expected


def test_the_same_seed_gives_the_same_partition_and_trials_move_the_seed():
    rows = 150
    edges = columns(list(networkx.gnm_random_graph(rows, 260, seed=1).edges))
    runs = {seed: partition(*edges, rows, CommunitiesConfig(seed=seed), False) for seed in range(1, 9)}
    for seed in (1, 5):
        again = partition(*edges, rows, CommunitiesConfig(seed=seed), False)
        assert again.communities.tolist() == runs[seed].communities.tolist()
        assert again.codelength == runs[seed].codelength
        np.testing.assert_array_equal(again.flow, runs[seed].flow)
    assert len({found.communities.tobytes() for found in runs.values()}) > 1
    for trial in range(8):
        found = partition(*edges, rows, INFOMAP, False, trial)
        assert found.communities.tolist() == runs[1 + trial].communities.tolist()


@pytest.mark.parametrize("config", [INFOMAP, NATIVE])
def test_links_without_positive_weight_join_nothing(config):
    edges = columns([(0, 1), (1, 2), (2, 3)], [0.5, 0.0, -0.25])
    assert partition(*edges, 4, config, directed=False).communities.tolist() == [0, 0, 1, 2]
    nothing = columns([(0, 1), (1, 2)], [0.0, -1.0])
    assert partition(*nothing, 3, config, directed=False).communities.tolist() == [0, 1, 2]


def test_memory_refusal_names_what_is_needed_and_what_to_change():
    config = CommunitiesConfig(engine="infomap", memory_gib=0.5)
    with pytest.raises(ResourceError, match=r"4\.60 GiB; 0\.50 GiB are there: raise the threshold, lower knn\.k"):
        require_memory(20_000_000, 0, config)
    assert require_memory(1000, 10, config) is None
    line = require_memory(1_200_000, 10, config)
    assert line is not None
    assert "infomap on 10 rows and up to 1,200,000 edges needs about 0.28 GiB; 0.50 GiB" in line


def test_memory_grows_with_links_and_rows_and_components_need_less():
    base = engines.memory_needed(1000, 1000, INFOMAP)
    assert engines.memory_needed(2000, 1000, INFOMAP) > base
    assert engines.memory_needed(1000, 2000, INFOMAP) > base
    assert engines.memory_needed(1000, 1000, COMPONENTS) < base
    limit = engines.memory_needed(1000, 1000, INFOMAP) / 2**30
    require_memory(1000, 1000, CommunitiesConfig(engine="infomap", memory_gib=limit))
    with pytest.raises(ResourceError):
        require_memory(1001, 1000, CommunitiesConfig(engine="infomap", memory_gib=limit))


def test_memory_allowed_is_what_the_machine_has_free_unless_configured(monkeypatch):
    monkeypatch.setattr(engines, "available_bytes", lambda: 1000)
    assert engines.memory_allowed(INFOMAP) == 1000
    assert engines.memory_allowed(CommunitiesConfig(memory_gib=2.0)) == 2**31
    with pytest.raises(ResourceError):
        require_memory(100, 100, INFOMAP)


def test_auto_is_infomap_for_few_links_and_native_for_many(monkeypatch):
    auto = CommunitiesConfig()
    *edges, rows = planted(8, 12, 3, noise=0.1)
    links = len(edges[0])
    monkeypatch.setattr(engines, "NATIVE_FROM", links + 1)
    assert engines.engine_for(links, auto) == "infomap"
    few = partition(*edges, rows, auto, directed=False)
    monkeypatch.setattr(engines, "NATIVE_FROM", links)
    assert engines.engine_for(links, auto) == "native"
    many = partition(*edges, rows, auto, directed=False)
    for found, config in ((few, INFOMAP), (many, NATIVE)):
        expected = partition(*edges, rows, config, directed=False)
        assert found.communities.tolist() == expected.communities.tolist()
        assert found.codelength == expected.codelength
    assert few.codelength == pytest.approx(many.codelength, rel=5e-3)
    assert few.codelength != many.codelength
    for links in (1000, 10**9):
        assert engines.engine_for(links, INFOMAP) == "infomap"
        assert engines.engine_for(links, COMPONENTS) == "components"


def test_memory_of_auto_covers_either_engine_and_never_falls_with_links():
    auto = CommunitiesConfig()
    at = [engines.memory_needed(links, 1000, auto) for links in (0, 10**5, 999_999, 10**6, 5 * 10**6, 10**8)]
    assert at == sorted(at)
    assert at[2] == engines.memory_needed(999_999, 1000, INFOMAP)
    assert at[-1] == engines.memory_needed(10**8, 1000, NATIVE) < engines.memory_needed(10**8, 1000, INFOMAP) / 5
    line = require_memory(10**8, 10, CommunitiesConfig(memory_gib=100.0))
    assert line.startswith("native on 10 rows and up to 100,000,000 edges needs about 3.7")


def test_native_trials_move_the_seed_and_threads_change_nothing():
    rows = 150
    edges = columns(list(networkx.gnm_random_graph(rows, 260, seed=1).edges))
    first = [partition(*edges, rows, NATIVE, False, trial, threads=1) for trial in range(4)]
    for trial, found in enumerate(first):
        config = CommunitiesConfig(engine="native", seed=1 + trial)
        again = partition(*edges, rows, config, False, threads=2)
        assert again.communities.tolist() == found.communities.tolist()
    assert len({found.communities.tobytes() for found in first}) > 1
