"""The edges stage: every rule on tables, its reserve and its sweep, and the edges that a run stores and loads."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.config.stages import CommunitiesConfig, Config, EdgesConfig, KnnConfig, RelationsConfig
from raycluster.kernels import edge_rules
from raycluster.kernels.neighborhoods.nep import neighbor_edge_probability
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.limits.agreed import AGREED, agreeing
from raycluster.limits.far_ranks import FAR_RANKS
from raycluster.limits.in_force import EdgeLimits
from raycluster.stages import edges
from raycluster.stages.nep import nep_of, transform
from raycluster.storage import schemas
from raycluster.storage.array_tables import ArrayTables
from raycluster.storage.tables import Task
from support import tiny
from support.data import identities, neighbor_table
from support.edge_tables import COLUMNS, TABLES, assert_equal_columns, random_scores, shards_of, stacked

RULES = {
    "threshold": ("threshold", "none", ["threshold"]),
    "score": ("score", "all", ["eta"]),
    "early-stop": ("early-stop", "none", ["theta"]),
    "recall": ("early-stop", "recall", ["theta", "eta"]),
    "gap": ("gap", "none", []),
    "density-peaks": ("density-peaks", "none", ["closeness"]),
}
"""Every way to build edges: rule, scored pairs, and the names of its limits, the swept one last."""
SWEPT = [name for name, (_, _, limits) in RULES.items() if limits]


def limits_at(name: str, value: float) -> EdgeLimits:
    """Limits of one of RULES, the swept one at `value`, others at 0.4."""
    names = RULES[name][2]
    values: dict[str, Any] = {limit: value if limit == names[-1] else 0.4 for limit in names}
    return EdgeLimits(**values)


def tables_of(table: Any, name: str, limits: EdgeLimits, reserve: float = 0.0, **keys: Any) -> ArrayTables:
    """Tables of a case of TABLES with neighbors, random scores and random densities, ready for the edges stage."""
    neighbor, similarity = neighbor_table(*table)
    rule, score, _ = RULES[name]
    config = Config(
        knn=KnnConfig(k=neighbor.shape[1]),
        edges=EdgesConfig(rule=rule, reserve=reserve, **keys),
        relations=RelationsConfig(score=score),
        communities=CommunitiesConfig(engine="components" if rule == "density-peaks" else "infomap"),
    )
    density = np.random.default_rng(table[2]).integers(0, 20, len(neighbor)).astype(np.float32)
    columns = {
        "knn": {"neighbor": neighbor, "similarity": similarity},
        "relations": {"score": random_scores(neighbor, table[2], 0.2)},
        "density": {"density": density},
    }
    rows = np.empty((len(neighbor), 1), np.float32)
    facts = {"edges": limits.to_json()}
    return ArrayTables(rows, config, 1, lambda *_: pytest.fail("nothing is clustered"), columns=columns, facts=facts)


def built(tables: ArrayTables, start: int = 0, stop: int | None = None) -> dict[str, Any]:
    """The edges that the stage builds of rows start..stop."""
    task = Task(0, start, tables.rows if stop is None else stop)
    return dict(edges.EDGES.open(tables)(task).blocks[0])


@pytest.mark.parametrize("name", RULES)
def test_a_rule_gives_the_edges_of_its_kernel(name: str) -> None:
    table = (50, 12, 3, False)
    neighbor, similarity = neighbor_table(*table)
    tables = tables_of(table, name, limits_at(name, 0.5))
    nep = neighbor_edge_probability(neighbor, transform(EdgesConfig())(similarity))
    score = random_scores(neighbor, 3, 0.2)
    expected = {
        "threshold": lambda: edge_rules.threshold_edges(0, 50, neighbor, similarity, 0.5),
        "score": lambda: edge_rules.score_edges(0, 50, neighbor, similarity, score, 0.5, "mean"),
        "early-stop": lambda: edge_rules.early_stop_edges(0, neighbor, similarity, nep, 0.5, None, np.inf),
        "recall": lambda: edge_rules.early_stop_edges(0, neighbor, similarity, nep, 0.4, score, 0.5),
        "gap": lambda: edge_rules.gap_edges(0, 50, neighbor, similarity),
        "density-peaks": lambda: edge_rules.density_peak_edges(
            0, neighbor, similarity, *edges.peaks_of(tables, Task(0, 0, 50)), 0.5
        ),
    }[name]()
    result = built(tables)
    assert len(result["source"]) > 0
    assert_equal_columns(result, expected)


@pytest.mark.parametrize("combine", ["mean", "geometric", "minimum", "maximum"])
def test_rule_score_combines_and_weighs_as_configured(combine: Any) -> None:
    table = (40, 10, 0, False)
    neighbor, similarity = neighbor_table(*table)
    score = random_scores(neighbor, 0, 0.2)
    limits = EdgeLimits(eta=0.3, valley=True, similarity=0.2)
    plain = built(tables_of(table, "score", EdgeLimits(eta=0.3), combine=combine))
    assert_equal_columns(plain, edge_rules.score_edges(0, 40, neighbor, similarity, score, 0.3, combine))
    odds = built(tables_of(table, "score", limits, combine=combine, weight="odds"))
    options: dict[str, Any] = {"lowest_similarity": 0.2, "highest_odds": limits.highest_odds}
    expected = edge_rules.score_edges(0, 40, neighbor, similarity, score, 0.3, combine, **options)
    assert_equal_columns(odds, expected)
    assert not np.array_equal(odds["weight"], odds["score"])


@settings(max_examples=25, deadline=None)
@given(TABLES, st.floats(0, 1), st.integers(0, 1000), st.sampled_from(list(RULES)))
def test_row_shards_stack_to_the_edges_of_the_whole(table: Any, limit: float, seed: int, name: str) -> None:
    tables = tables_of(table, name, limits_at(name, limit), 0.1)
    shards = [built(tables, *shard) for shard in shards_of(table[0], seed)]
    assert_equal_columns(built(tables), stacked(shards))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(TABLES, st.floats(0, 0.9), st.floats(0, 0.5), st.sampled_from(SWEPT))
def test_a_reserve_stores_the_edges_of_a_lower_limit_and_leaves_the_others_out_at_read(
    table: Any, limit: float, reserve: float, name: str
) -> None:
    limits = limits_at(name, limit)
    tables = tables_of(table, name, limits, reserve)
    task = Task(0, 0, tables.rows)
    output = edges.EDGES.open(tables)(task)
    assert_equal_columns(dict(output.blocks[0]), built(tables_of(table, name, limits_at(name, limit - reserve))))
    tables.commit("edges", task, output, schemas.EDGES)
    exact = built(tables_of(table, name, limits))
    in_force = edges.edges_in_force(tables)
    for column in edges.GRAPH:
        np.testing.assert_array_equal(in_force[column], exact[column], err_msg=column)


@pytest.mark.parametrize("kind", ["exponential", "sigmoid"])
def test_transform_gives_empty_ranks_nothing_and_every_row_a_sum_of_one(kind: Any) -> None:
    neighbor, similarity = neighbor_table(40, 10, 3, short=True)
    p_hat = transform(EdgesConfig(transform=kind))(similarity)
    assert p_hat.dtype == np.float32
    assert (neighbor < 0).any()
    assert (p_hat[neighbor < 0] == 0).all()
    assert (p_hat[neighbor >= 0] > 0).all()
    assert p_hat.sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_transform_takes_its_constants_from_the_configuration() -> None:
    similarity = np.array([[1, 0.8, 0.5]], np.float32)
    flat = transform(EdgesConfig(tau=100.0))(similarity)
    assert flat[0] == pytest.approx(1 / 3, abs=0.01)
    soft, steep = (transform(EdgesConfig(transform="sigmoid", delta=delta))(similarity) for delta in (1.0, 60.0))
    assert steep[0, 2] < 1e-6 < soft[0, 2]


def test_early_stop_on_identities_links_mostly_one_person() -> None:
    vectors, labels = identities(20, 10, spread=0.3)
    neighbor, similarity = exact_top_k(vectors, np.arange(200, dtype=np.int32), vectors, 10)
    nep = neighbor_edge_probability(neighbor, transform(EdgesConfig())(similarity))
    walked = edge_rules.early_stop_edges(0, neighbor, similarity, nep, 0.3, None, np.inf)
    assert len(walked["source"]) > 1500
    assert (labels[walked["source"]] == labels[walked["target"]]).mean() > 0.95


RUNS: dict[str, Any] = {
    "cosine": {"edges": {"threshold": 0.3, "reserve": 0.2}},
    "fc-es": {"edges": {"theta": 0.3, "reserve": 0.2}},
    "diff-cluster": {"edges": {"theta": 0.5, "eta": 0.4, "reserve": 0.2}},
    "sdt-row": {"edges": {"eta": 0.4, "reserve": 0.2, "combine": "minimum"}},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that clusters 150 rows by one of RUNS and returns the run."""
    root = tmp_path_factory.mktemp("edges")
    models: dict[str, Any] = {"diff-cluster": "pair", "sdt-row": "row"}
    for recipe, form in models.items():
        tiny.model(root / recipe, form, recipe=recipe, thresholds={"floor": 0.02})

    @functools.cache
    def finish(recipe: str, shards: int) -> Any:
        keys = {**RUNS[recipe], **({"model": str(root / recipe)} if recipe in models else {})}
        return tiny.run(root, recipe, shards, name=f"{recipe}-{shards}", **keys)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path_factory.mktemp("scratch")))
        yield finish


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RUNS)
def test_a_run_stores_the_same_edges_on_one_shard_and_on_three(finished: Any, recipe: str) -> None:
    once, thrice = (list(finished(recipe, shards).blocks("edges", list(COLUMNS))) for shards in (1, 3))
    assert (len(once), len(thrice)) == (1, 3)
    assert len(once[0]["source"]) > tiny.ROWS
    assert_equal_columns(stacked(thrice), once[0])


def test_nep_of_a_run_is_truncated_to_its_top_k(finished: Any) -> None:
    run = finished("diff-cluster", 3)
    neighbor, similarity = (tiny.column(run, "knn", name) for name in ("neighbor", "similarity"))
    length = np.where(tiny.column(run, "topk", "k") > 10, tiny.K, 10)
    assert len(set(length.tolist())) == 2
    p_hat = transform(run.config.edges)(similarity)
    expected = neighbor_edge_probability(neighbor, p_hat, 40, 90, length)
    np.testing.assert_array_equal(nep_of(run, Task(0, 40, 90)), expected)
    assert not np.array_equal(expected, neighbor_edge_probability(neighbor, p_hat, 40, 90))


def test_a_stored_run_scores_a_sample_where_similarities_show_no_threshold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = (0.9, {"basis": FAR_RANKS, "risk": 0.9})
    monkeypatch.setattr("raycluster.limits.in_force.pick_threshold", lambda *_: nothing)
    run = tiny.run(tmp_path, "cosine")
    limits = edges.limits_of(run)
    similarity, score = edges._scored_sample(run)
    assert score.shape == similarity.shape == (tiny.ROWS, tiny.K)
    assert limits.facts["basis"] == AGREED
    assert limits.threshold == agreeing(similarity, score) != nothing[0]


def test_every_key_of_the_configuration_changes_what_the_stage_writes() -> None:
    settings_of = edges.EDGES.settings
    before = settings_of(Config())
    other: dict[str, Any] = {
        "rule": "gap",
        "threshold": 0.1,
        "combine": "minimum",
        "transform": "sigmoid",
        "distance": "cosine",
        "valley": True,
        "weight": "odds",
        "count_pair": False,
    }
    for name in dataclasses.asdict(EdgesConfig()):
        value: dict[str, Any] = {name: other.get(name, 0.77)}
        assert settings_of(Config(edges=dataclasses.replace(EdgesConfig(), **value))) != before, name
