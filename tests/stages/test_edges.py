import dataclasses
import functools
import json
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.config.stages import CommunitiesConfig, Config, EdgesConfig, RelationsConfig
from raycluster.errors import ConfigError
from raycluster.kernels import edge_rules
from raycluster.kernels.neighborhoods.nep import neighbor_edge_probability
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.limits import valley
from raycluster.limits.far_ranks import FAR_RANKS, pick_threshold, sample_pairs
from raycluster.stages import edges
from raycluster.stages.edges import build, in_force, settle, swept
from raycluster.storage import schemas
from support import tiny
from support.data import identities, neighbor_table
from support.edge_tables import COLUMNS, TABLES, assert_equal_columns, kept, random_scores, shards_of, stacked

RULES = {
    "threshold": (EdgesConfig(rule="threshold"), ["threshold"]),
    "score": (EdgesConfig(rule="score"), ["eta"]),
    "early-stop": (EdgesConfig(rule="early-stop"), ["theta"]),
    "recall": (EdgesConfig(rule="early-stop"), ["theta", "eta"]),
    "gap": (EdgesConfig(rule="gap"), []),
    "density-peaks": (EdgesConfig(rule="density-peaks"), ["closeness"]),
}
"""Every way to build edges, with the names of its limits."""
SWEPT = [name for name, (_, limits) in RULES.items() if limits]


def configured(rule, score="none", **keys):
    engine = "components" if rule == "density-peaks" else "infomap"
    return Config(
        edges=EdgesConfig(rule=rule, **keys),
        relations=RelationsConfig(score=score),
        communities=CommunitiesConfig(engine=engine),
    )


def random_peaks(neighbor, seed, start, stop):
    """Which neighbors of rows start..stop are denser, at densities some of which are equal, and their closeness."""
    rng = np.random.default_rng(seed)
    density, closeness = rng.integers(0, 20, len(neighbor)), rng.integers(0, 41, neighbor.shape) / 40
    uphill = edge_rules.denser(start, neighbor[start:stop], density.astype(np.float32))
    return uphill, np.where(neighbor >= 0, closeness, 0).astype(np.float32)[start:stop]


def built(table, name, limits, reserve=0.0, rows=None):
    """The edges that one of RULES gives of a case of TABLES, with NEP of its similarities and random scores."""
    neighbor, similarity = neighbor_table(*table)
    config, start, stop = RULES[name][0], *(rows or (0, len(neighbor)))

    def nep():
        assert config.rule == "early-stop", "no other rule needs NEP"
        return neighbor_edge_probability(neighbor, edges.transform(config)(similarity), start, stop)

    score = random_scores(neighbor, table[2], 0.2) if name in ("score", "recall") else None
    peaks = functools.partial(random_peaks, neighbor, table[2], start, stop)
    return build(start, stop, neighbor, similarity, config, limits, reserve, nep, score, peaks)


def limits_of(name, value):
    """Limits of one of RULES, the one that can be swept at `value`."""
    return {limit: value if limit == RULES[name][1][-1] else 0.4 for limit in RULES[name][1]}


def settled(config, calibrated=None):
    """Limits where no data may be looked at."""
    return settle(config, None, None, None, calibrated or {})


def test_a_configured_limit_is_in_force_whatever_the_model_was_calibrated_to():
    model = {"theta": 0.7, "eta": 0.8}
    assert settled(configured("threshold", threshold=0.4), model) == {"threshold": 0.4, "picked": False}
    assert settled(configured("early-stop", theta=0.3), model) == {"theta": 0.3}
    assert settled(configured("early-stop", "recall", theta=0.3, eta=0.0), model) == {"theta": 0.3, "eta": 0.0}
    assert settled(configured("score", "all", eta=0.2), model) == {"eta": 0.2}
    assert settled(configured("gap"), model) == {}
    assert settled(configured("density-peaks", closeness=0.1), {"closeness": 0.5}) == {"closeness": 0.1}


def test_the_models_limit_is_in_force_where_none_is_configured():
    model = {"theta": 0.7, "eta": 0.0, "slope": 3.0}
    assert settled(configured("early-stop", theta=None), model) == {"theta": 0.7}
    assert settled(configured("early-stop", "recall", theta=None), model) == {"theta": 0.7, "eta": 0.0}
    assert settled(configured("early-stop", "recall", theta=0.1), model) == {"theta": 0.1, "eta": 0.0}
    assert settled(configured("score", "all"), model) == {"eta": 0.0}
    model["closeness"] = 0.6
    assert settled(configured("density-peaks", "all", closeness=None), model) == {"closeness": 0.6}


@pytest.mark.parametrize(
    ("config", "calibrated", "key"),
    [
        (configured("early-stop", theta=None), {"eta": 0.5}, "edges.theta"),
        (configured("early-stop", "recall", theta=None, eta=0.5), {}, "edges.theta"),
        (configured("early-stop", "recall"), {"theta": 0.5}, "edges.eta"),
        (configured("score", "all"), {"theta": 0.5}, "edges.eta"),
        (configured("density-peaks", "all", closeness=None), {"eta": 0.5}, "edges.closeness"),
    ],
)
def test_a_limit_that_nothing_gives_is_refused_by_name(config, calibrated, key):
    with pytest.raises(ConfigError) as caught:
        settled(config, calibrated)
    expected = f"{key} is not set and no model was given that was calibrated for it; set it or use --model."
    assert str(caught.value) == expected


def test_a_threshold_is_picked_from_the_data_where_none_is_configured():
    vectors, _ = identities(30, 8)
    neighbor, similarity = exact_top_k(vectors, np.arange(240, dtype=np.int32), vectors, 12)
    found = settle(Config(), neighbor, similarity, vectors, {"threshold": 0.9})
    assert found["picked"] is True
    assert 0.2 < found["threshold"] < 0.9
    assert "basis" in found
    assert json.loads(json.dumps(found)) == found


def test_a_run_is_swept_by_eta_then_by_a_threshold_then_by_theta():
    assert swept({"threshold": 0.61, "picked": True}) == 0.61
    assert swept({"theta": 0.3}) == 0.3
    assert swept({"theta": 0.3, "eta": 0.8}) == swept({"eta": 0.8}) == 0.8
    assert swept({"closeness": 0.3}) == 0.3
    assert swept({}) == -1.0


@pytest.mark.parametrize("name", RULES)
def test_a_rule_gives_the_edges_of_its_kernel(name):
    table = (50, 12, 3, False)
    neighbor, similarity = neighbor_table(*table)
    config = RULES[name][0]
    nep = neighbor_edge_probability(neighbor, edges.transform(config)(similarity))
    score = random_scores(neighbor, 3, 0.2)
    expected = {
        "threshold": lambda: edge_rules.threshold_edges(0, 50, neighbor, similarity, 0.5),
        "score": lambda: edge_rules.score_edges(0, 50, neighbor, similarity, score, 0.5, "mean"),
        "early-stop": lambda: edge_rules.early_stop_edges(0, neighbor, similarity, nep, 0.5, None, np.inf),
        "recall": lambda: edge_rules.early_stop_edges(0, neighbor, similarity, nep, 0.4, score, 0.5),
        "gap": lambda: edge_rules.gap_edges(0, 50, neighbor, similarity, 20, 3.0),
        "density-peaks": lambda: edge_rules.density_peak_edges(
            0, neighbor, similarity, *random_peaks(neighbor, 3, 0, 50), 0.5
        ),
    }[name]()
    found = built(table, name, limits_of(name, 0.5))
    assert len(found["source"]) > 0
    assert_equal_columns(found, expected)


@pytest.mark.parametrize("combine", ["mean", "geometric", "minimum", "maximum"])
def test_rule_score_combines_as_configured(combine):
    neighbor, similarity = neighbor_table(40, 10, 0)
    score = random_scores(neighbor, 0)
    config = EdgesConfig(rule="score", combine=combine)
    found = build(0, 40, neighbor, similarity, config, {"eta": 0.3}, 0.0, lambda: None, score)
    assert_equal_columns(found, edge_rules.score_edges(0, 40, neighbor, similarity, score, 0.3, combine))


def test_eta_is_given_or_that_of_the_sets_own_valley_or_the_models():
    neighbor, _ = neighbor_table(40, 10, 0)
    score = random_scores(neighbor, 0)

    def settled(found, **of_edges):
        config = Config(
            recipe="auto", edges=EdgesConfig(rule="score", **of_edges), relations=RelationsConfig(score="all")
        )
        with (
            mock.patch.object(valley, "eta_of", return_value=found) as eta_of,
            mock.patch.object(edges, "second_opinion", return_value={"similarity": 0.5}),
        ):
            limits = settle(config, neighbor, None, None, {"eta": 0.4}, score)
        assert [call.args for call in eta_of.mock_calls] == [(neighbor, score, "mean", 0.4)] * ("valley" in limits)
        return limits

    assert settled(0.7, valley=True) == {"eta": 0.7, "valley": True}
    assert settled(None, valley=True) == {"eta": 0.4, "valley": False, "similarity": 0.5}
    assert settled(0.7) == {"eta": 0.4}
    assert settled(0.7, valley=True, eta=0.55) == {"eta": 0.55}


def test_the_second_opinion_is_the_threshold_that_far_ranks_suggest():
    vectors, _ = identities(30, 8)
    _, similarity = exact_top_k(vectors, np.arange(240, dtype=np.int32), vectors, 12)
    threshold, _ = pick_threshold(similarity, sample_pairs(vectors))
    assert edges.second_opinion(similarity, vectors) == {"similarity": threshold}
    for basis, wanted in ((FAR_RANKS, {"similarity"}), ("random pairs: hardly a neighbor stands out", set())):
        with mock.patch.object(edges, "pick_threshold", return_value=(0.6, {"basis": basis})):
            assert set(edges.second_opinion(similarity, vectors)) == wanted


def test_an_edge_of_rule_score_is_as_similar_as_the_limits_ask():
    neighbor, similarity = neighbor_table(40, 10, 0)
    score, config = random_scores(neighbor, 0), EdgesConfig(rule="score")
    plain = edge_rules.score_edges(0, 40, neighbor, similarity, score, 0.3, "mean")
    least = float(np.median(plain["similarity"]))
    found = build(0, 40, neighbor, similarity, config, {"eta": 0.3, "similarity": least}, 0.0, lambda: None, score)
    expected = {name: values[plain["similarity"] >= np.float32(least)] for name, values in plain.items()}
    assert 0 < len(found["source"]) < len(plain["source"])
    assert_equal_columns(found, expected)


def test_rule_score_weighs_by_odds_as_configured_and_keeps_the_same_edges_at_any_limit():
    neighbor, similarity = neighbor_table(40, 10, 0)
    score = random_scores(neighbor, 0)
    config, limits = EdgesConfig(rule="score", weight="odds"), {"eta": 0.3}
    found = build(0, 40, neighbor, similarity, config, limits, 0.0, lambda: None, score)
    plain = edge_rules.score_edges(0, 40, neighbor, similarity, score, 0.3, "mean")
    assert_equal_columns(found, plain | {"weight": edge_rules.odds(plain["score"])})
    of_set = build(0, 40, neighbor, similarity, config, limits | {"valley": True}, 0.0, lambda: None, score)
    assert_equal_columns(of_set, plain | {"weight": edge_rules.odds(plain["score"], 10 * 0.3 / 0.7)})
    kept = edge_rules.score_edges(0, 40, neighbor, similarity, score, 0.6, "mean")
    keep = in_force(found, config, limits, 0.6)
    np.testing.assert_array_equal(found["score"][keep], kept["score"])


def test_gap_cuts_with_facemaps_window_and_z():
    neighbor, similarity = neighbor_table(60, 30, 0)
    found = build(0, 60, neighbor, similarity, EdgesConfig(rule="gap"), {}, 0.1, lambda: None)
    assert_equal_columns(found, edge_rules.gap_edges(0, 60, neighbor, similarity, 20, 3.0))
    assert len(found["source"]) < len(edge_rules.gap_edges(0, 60, neighbor, similarity, 29, 3.0)["source"])


@settings(max_examples=25, deadline=None)
@given(TABLES, st.floats(0, 1), st.integers(0, 1000), st.sampled_from(list(RULES)))
def test_row_shards_stack_to_the_edges_of_the_whole(table, limit, seed, name):
    limits = limits_of(name, limit)
    shards = [built(table, name, limits, 0.1, shard) for shard in shards_of(table[0], seed)]
    assert_equal_columns(built(table, name, limits, 0.1), stacked(shards))


@settings(max_examples=40, deadline=None)
@given(TABLES, st.floats(0, 0.9), st.floats(0, 0.5), st.sampled_from(SWEPT))
def test_a_reserve_stores_the_edges_of_a_lower_limit_and_leaves_the_others_out_at_read(table, limit, reserve, name):
    config, limits = RULES[name][0], limits_of(name, limit)
    stored = built(table, name, limits, reserve)
    assert_equal_columns(stored, built(table, name, limits_of(name, limit - reserve)))
    assert_equal_columns(kept(stored, in_force(stored, config, limits, limit)), built(table, name, limits))


@settings(max_examples=60, deadline=None)
@given(TABLES, st.floats(0, 0.9), st.floats(0, 0.8), st.sampled_from(SWEPT))
def test_a_sweep_to_a_higher_limit_equals_edges_built_at_it(table, limit, above, name):
    config, limits = RULES[name][0], limits_of(name, limit)
    stored = built(table, name, limits)
    keep = in_force(stored, config, limits, limit + above)
    assert keep.dtype == bool
    assert_equal_columns(kept(stored, keep), built(table, name, limits_of(name, limit + above)))
    assert in_force(stored, config, limits, limit).all()


def test_density_peaks_in_force_are_closer_than_the_limit():
    stored = {"weight": np.array([0.2, 0.3, 0.4], np.float32)}
    limits = {"closeness": 0.3}
    assert in_force(stored, EdgesConfig(rule="density-peaks"), limits, 0.3).tolist() == [False, False, True]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=30), st.integers(0, 5))
def test_in_force_ends_every_walk_at_its_first_edge_below(pairs, limit):
    pairs = sorted(pairs, key=lambda pair: pair[0])
    stored = {"source": np.array([s for s, _ in pairs], np.int32), "nep": np.array([n for _, n in pairs], np.float32)}
    stopped, expected = set(), []
    for source, nep in pairs:
        if nep < limit:
            stopped.add(source)
        expected.append(source not in stopped)
    assert in_force(stored, EdgesConfig(rule="early-stop"), {"theta": 0.0}, limit).tolist() == expected


def test_walked_edges_are_in_force_at_any_eta():
    stored = {"score": np.array([np.nan, 0.5, 0.9, np.nan], np.float32)}
    limits = {"theta": 0.4, "eta": 0.5}
    assert in_force(stored, EdgesConfig(rule="early-stop"), limits, 0.8).tolist() == [True, False, True, True]


def test_gap_edges_are_always_in_force():
    stored = edge_rules.gap_edges(0, 30, *neighbor_table(30, 8, 0), 2, 3.0)
    assert len(stored["weight"]) > 0
    assert in_force(stored, EdgesConfig(rule="gap"), {}, -1.0).tolist() == [True] * len(stored["weight"])


@pytest.mark.parametrize("name", RULES)
def test_no_edges_at_all_are_no_trouble(name):
    nothing = {column: np.empty(0, dtype) for column, dtype in COLUMNS.items()}
    keep = in_force(nothing, RULES[name][0], limits_of(name, 0.5), 0.6)
    assert (keep.dtype, keep.shape) == (bool, (0,))


@pytest.mark.parametrize("kind", ["exponential", "sigmoid"])
def test_transform_gives_empty_ranks_nothing_and_every_row_a_sum_of_one(kind):
    neighbor, similarity = neighbor_table(40, 10, 3, short=True)
    p_hat = edges.transform(EdgesConfig(transform=kind))(similarity)
    assert p_hat.dtype == np.float32
    assert (neighbor < 0).any()
    assert (p_hat[neighbor < 0] == 0).all()
    assert (p_hat[neighbor >= 0] > 0).all()
    assert p_hat.sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_transform_takes_its_constants_from_the_configuration():
    similarity = np.array([[1, 0.8, 0.5]], np.float32)
    flat = edges.transform(EdgesConfig(tau=100.0))(similarity)
    assert flat[0] == pytest.approx(1 / 3, abs=0.01)
    soft, steep = (edges.transform(EdgesConfig(transform="sigmoid", delta=delta))(similarity) for delta in (1.0, 60.0))
    assert steep[0, 2] < 1e-6 < soft[0, 2]


def test_early_stop_on_identities_links_mostly_one_person():
    vectors, labels = identities(20, 10, spread=0.3)
    neighbor, similarity = exact_top_k(vectors, np.arange(200, dtype=np.int32), vectors, 10)
    config = EdgesConfig(rule="early-stop")
    nep = neighbor_edge_probability(neighbor, edges.transform(config)(similarity))
    found = build(0, 200, neighbor, similarity, config, {"theta": 0.3}, 0.0, lambda: nep)
    assert len(found["source"]) > 1500
    assert (labels[found["source"]] == labels[found["target"]]).mean() > 0.95


RUNS = {
    "cosine": {"edges": {"threshold": 0.3, "reserve": 0.2}},
    "fc-es": {"edges": {"theta": 0.3, "reserve": 0.2}},
    "diff-cluster": {"edges": {"theta": 0.5, "eta": 0.4, "reserve": 0.2}},
    "sdt-row": {"edges": {"eta": 0.4, "reserve": 0.2, "combine": "minimum"}},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A function that clusters 150 rows by one of RUNS and returns the run."""
    root = tmp_path_factory.mktemp("edges")
    models = {"diff-cluster": "pair", "sdt-row": "row"}
    for recipe, form in models.items():
        tiny.model(root / recipe, form, recipe=recipe, thresholds={"floor": 0.02})

    @functools.cache
    def finish(recipe, shards):
        keys = {**RUNS[recipe], **({"model": str(root / recipe)} if recipe in models else {})}
        return tiny.run(root, recipe, shards, name=f"{recipe}-{shards}", **keys)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path_factory.mktemp("scratch")))
        yield finish


def stored(run):
    tables = [run.folder.table("edges", shard) for shard in range(len(run.bounds) - 1)]
    assert all(table.schema == schemas.EDGES for table in tables)
    return stacked([{name: table[name].to_numpy() for name in COLUMNS} for table in tables])


@pytest.mark.parametrize("recipe", RUNS)
def test_a_run_stores_the_same_edges_on_one_shard_and_on_three(finished, recipe):
    once = stored(finished(recipe, 1))
    assert len(once["source"]) > tiny.ROWS
    assert_equal_columns(stored(finished(recipe, 3)), once)


@pytest.mark.parametrize("recipe", RUNS)
def test_a_run_loads_the_edges_in_force_and_can_be_swept_both_ways(finished, recipe):
    run = finished(recipe, 3)
    limits, config = run.facts("edges"), run.config.edges
    neighbor, similarity = (tiny.column(run, "knn", name) for name in ("neighbor", "similarity"))
    score = tiny.column(run, "relations", "score") if run.config.relations.score != "none" else None
    nep = edges.nep_of(run, 0, tiny.ROWS) if config.rule == "early-stop" else None
    limit = next(name for name in ("eta", "threshold", "theta") if name in limits)
    counts = []
    for at in (None, limits[limit] - 0.2, limits[limit] + 0.1):
        moved = limits if at is None else {**limits, limit: at}
        expected = build(0, tiny.ROWS, neighbor, similarity, config, moved, 0.0, lambda: nep, score)
        found = edges.load(run, at)
        assert list(found) == ["source", "target", "weight"]
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[name])
        counts.append(len(found["source"]))
    assert counts[1] > counts[0] > counts[2] > 0


def test_nep_of_a_run_is_truncated_to_its_top_k(finished):
    run = finished("diff-cluster", 3)
    neighbor, similarity = (tiny.column(run, "knn", name) for name in ("neighbor", "similarity"))
    length = np.where(tiny.column(run, "topk", "k") > 10, tiny.K, 10)
    assert len(set(length.tolist())) == 2
    p_hat = edges.transform(run.config.edges)(similarity)
    expected = neighbor_edge_probability(neighbor, p_hat, 40, 90, length)
    np.testing.assert_array_equal(edges.nep_of(run, 40, 90), expected)
    whole = neighbor_edge_probability(neighbor, p_hat, 40, 90)
    assert not np.array_equal(expected, whole)


def test_every_key_of_the_configuration_changes_what_the_stage_writes():
    settings_of = edges.EDGES.settings
    before = settings_of(Config())
    other = {
        "rule": "gap",
        "threshold": 0.1,
        "combine": "minimum",
        "transform": "sigmoid",
        "distance": "cosine",
        "valley": True,
        "weight": "odds",
    }
    for name in dataclasses.asdict(EdgesConfig()):
        changed = dataclasses.replace(EdgesConfig(), **{name: other.get(name, 0.77)})
        assert settings_of(Config(edges=changed)) != before, name
