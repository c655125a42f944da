"""Learned scores of neighbors: which are scored, that they are probabilities, and that nothing else decides them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raycluster.config.stages import Config, EdgesConfig, KnnConfig, RelationsConfig, TopkConfig
from raycluster.errors import ConfigError, InputError
from raycluster.kernels.neighborhoods.nep import neighbor_edge_probability
from raycluster.limits.random_pairs import sample_pairs
from raycluster.models.build import build_network
from raycluster.models.card import load_card
from raycluster.models.compiled import relative
from raycluster.models.networks.relation_predictor import RowPredictor
from raycluster.models.set_statistics import LENGTHS, SetStatistics
from raycluster.models.weights import load_network
from raycluster.stages.nep import transform
from raycluster.stages.relations import RELATIONS
from raycluster.storage import schemas
from raycluster.storage.stored_tables import StoredTables
from support import tiny

IVF = {"index": "ivf", "lists": 25, "probes": 2}
"""An inverted file so coarse that most neighbor lists are short."""
CALIBRATED = {"theta": 0.45, "floor": 0.03, "eta": 0.5}
RUNS: dict[str, dict[str, Any]] = {
    "all": {"recipe": "sdt-row"},
    "all, short lists": {"recipe": "sdt-row", "knn": IVF},
    "all, on the set's scale": {"recipe": "auto"},
    "recall": {"recipe": "diff-cluster"},
    "recall, short lists": {"recipe": "diff-cluster", "knn": IVF},
    "recall, as configured": {"recipe": "diff-cluster", "edges": {"theta": 0.9}},
    "recall without Top-K": {"recipe": "fc-eser", "model": "vanilla"},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, int], StoredTables]]:
    """A function that makes one of RUNS on so many shards, once."""
    root = tmp_path_factory.mktemp("relations")
    tiny.model(root / "sdt-row", "row", thresholds=CALIBRATED)
    tiny.model(root / "auto", "relative", recipe="auto", thresholds=CALIBRATED)
    tiny.model(root / "diff-cluster", "pair", recipe="diff-cluster", thresholds=CALIBRATED)
    tiny.model(root / "vanilla", "pair", "none", recipe="fc-eser", thresholds=CALIBRATED)
    runs: dict[tuple[str, int], StoredTables] = {}

    def finish(name: str, shards: int) -> StoredTables:
        if (name, shards) not in runs:
            keys = {"model": RUNS[name]["recipe"], **RUNS[name]}
            keys["model"] = str(root / keys["model"])
            runs[name, shards] = tiny.run(root, keys.pop("recipe"), shards, name=f"{name}-{shards}", **keys)
        return runs[name, shards]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path_factory.mktemp("scratch")))
        patch.setattr(relative, "CERTAIN_LOGIT", np.inf)  # random weights are sure at once
        yield finish


def scores(run: StoredTables) -> Any:
    return tiny.column(run, "relations", "score")


def expected_pairs(run: StoredTables) -> Any:
    """Which pairs (N, K) the configuration of a run asks to score, by a walk along every list."""
    neighbor = tiny.column(run, "knn", "neighbor")
    if run.config.relations.score == "all":
        wanted = neighbor >= 0
        wanted[:, 0] = False
        if run.config.recipe == "auto":  # no further than the last neighbor that may be the row's identity
            similarity, statistics = tiny.column(run, "knn", "similarity"), run.facts("relations")["statistics"]
            for row, similar in zip(wanted, similarity, strict=True):
                near = np.flatnonzero(similar >= SetStatistics.from_json(statistics).stranger)
                row[next((length for length in LENGTHS if length > near.max(initial=-1)), tiny.K) :] = False
        return wanted
    theta = CALIBRATED["theta"] if run.config.edges.theta is None else run.config.edges.theta
    floor = CALIBRATED["floor"]
    length = None
    if run.config.topk.predict:
        length = np.minimum(tiny.K, np.ceil(tiny.column(run, "topk", "k") / 10).astype(np.int64) * 10)
    p_hat = transform(run.config.edges)(tiny.column(run, "knn", "similarity"))
    nep = neighbor_edge_probability(neighbor, p_hat, length=length)
    wanted = np.zeros(neighbor.shape, bool)
    for i in range(len(neighbor)):
        walking = True
        for rank in range(1, tiny.K):
            walking = walking and neighbor[i, rank] >= 0 and nep[i, rank] >= np.float32(theta)
            wanted[i, rank] = not walking and neighbor[i, rank] >= 0 and nep[i, rank] >= np.float32(floor)
    return wanted


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_exactly_the_wanted_neighbors_have_a_score_and_it_is_a_probability(
    finished: Callable[[str, int], StoredTables], name: str
) -> None:
    run = finished(name, 1)
    score, wanted = scores(run), expected_pairs(run)
    assert 0.1 < wanted.mean() < 1
    np.testing.assert_array_equal(~np.isnan(score), wanted)
    assert score[wanted].min() >= 0
    assert score[wanted].max() <= 1
    assert score[wanted].std() > 0.1
    assert run.folder.marker("relations", 0).facts["scored"] == wanted.sum()
    assert ("short" in name) == bool((tiny.column(run, "knn", "neighbor") < 0).any())


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_the_table_is_the_same_on_three_shards_bit_for_bit(
    finished: Callable[[str, int], StoredTables], name: str
) -> None:
    once, cut = finished(name, 1), finished(name, 3)
    assert (len(once.bounds), len(cut.bounds)) == (2, 4)
    for run in (once, cut):
        for shard in range(len(run.bounds) - 1):
            table = run.folder.table("relations", shard)
            assert table.schema == schemas.relations(tiny.K)
            assert table["row"].to_pylist() == list(range(*run.bounds[shard : shard + 2]))
    assert scores(cut).tobytes() == scores(once).tobytes()


def test_the_walk_of_the_model_leaves_other_pairs_than_a_configured_one(
    finished: Callable[[str, int], StoredTables],
) -> None:
    calibrated, configured = finished("recall", 1), finished("recall, as configured", 1)
    assert not np.array_equal(np.isnan(scores(calibrated)), np.isnan(scores(configured)))
    both = ~np.isnan(scores(calibrated)) & ~np.isnan(scores(configured))
    np.testing.assert_allclose(scores(calibrated)[both], scores(configured)[both], atol=0.05)
    assert {name: calibrated.facts("relations")[name] for name in ("theta", "floor")} == {
        "theta": 0.45,
        "floor": 0.03,
    }
    assert configured.facts("relations")["theta"] == 0.9
    assert configured.facts("relations")["floor"] == 0.03


def test_the_background_is_that_of_the_sets_random_pairs(finished: Callable[[str, int], StoredTables]) -> None:
    run = finished("all", 1)
    pairs = sample_pairs(tiny.column(run, "embeddings", "embedding"))
    assert run.facts("relations") == {"background": [pairs.median, pairs.spread]}


def test_slope_and_intercept_of_the_model_make_its_logits_probabilities(
    finished: Callable[[str, int], StoredTables], tmp_path: Path
) -> None:
    tiny.model(tmp_path / "model", "row", thresholds={"eta": 0.5, "slope": 0.25, "intercept": -1.0})
    plain = scores(finished("all", 1)).astype(np.float64)
    found = scores(tiny.run(tmp_path, "sdt-row", model=str(tmp_path / "model"))).astype(np.float64)
    expected = 1 / (1 + np.exp(-(0.25 * np.log(plain / (1 - plain)) - 1.0)))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def direct_scores(run: StoredTables, topk: Any) -> Any:
    """Scores (N, K) by the predictor itself, all rows at once, each row with every neighbor, at Top-K `topk` (N,)."""
    url = str(run.config.model)
    card, _ = load_card(url)
    network = build_network("predictor", card).eval()
    network.load_state_dict(load_network(url, card, "predictor"))
    neighbor = torch.from_numpy(tiny.column(run, "knn", "neighbor"))
    vectors = torch.from_numpy(tiny.column(run, "embeddings", "embedding"))[neighbor]
    present, trusted = neighbor >= 0, torch.from_numpy(topk).long()
    background = tuple(run.facts("relations")["background"])
    with torch.inference_mode():
        if isinstance(network, RowPredictor):
            return network(vectors, present, trusted, background).sigmoid().numpy()
        i, j = torch.arange(len(neighbor)).repeat_interleave(tiny.K), neighbor.flatten()
        logits = network(vectors[i], vectors[j], present[i], present[j], trusted[i], trusted[j])
        return logits.sigmoid().numpy().reshape(neighbor.shape)


@pytest.mark.parametrize("name", ["all", "all, short lists", "recall", "recall, short lists"])
def test_a_score_is_that_of_the_network_at_the_runs_top_k(
    finished: Callable[[str, int], StoredTables], name: str
) -> None:
    run = finished(name, 3)
    score, topk = scores(run), tiny.column(run, "topk", "k").astype(np.int64)
    wanted = ~np.isnan(score)
    right = np.abs(score - direct_scores(run, topk))[wanted]
    wrong = np.abs(score - direct_scores(run, np.full_like(topk, tiny.K)))[wanted]
    assert right.max() < 0.1  # where there is bfloat16; 1e-5 where there is none
    assert right.mean() < wrong.mean() / 2


def test_limits_that_neither_configuration_nor_model_has_are_refused_by_name(tmp_path: Path) -> None:
    tiny.model(tmp_path / "model", "pair", recipe="diff-cluster", thresholds={"floor": 0.1})
    known: dict[str, Any] = {"model": str(tmp_path / "model")}
    with pytest.raises(
        ConfigError, match=r"^edges\.theta is not set and no model was given that was calibrated for it"
    ):
        tiny.run(tmp_path, "diff-cluster", name="a", **known)
    tiny.model(tmp_path / "model", "pair", recipe="diff-cluster", thresholds={"theta": 0.1})
    with pytest.raises(ConfigError, match=r"was not calibrated for edge recall: its card has no floor of NEP\.$"):
        tiny.run(tmp_path, "diff-cluster", name="b", **known)


def test_a_model_of_another_k_is_refused(tmp_path: Path) -> None:
    tiny.model(tmp_path / "model", "row", thresholds=CALIBRATED)
    with pytest.raises(InputError, match=r"was trained on 12 neighbors per row, and knn\.k is 9; make it 12"):
        tiny.run(tmp_path, "sdt-row", knn={"k": 9}, model=str(tmp_path / "model"))


def test_the_stage_is_wanted_only_where_something_is_scored() -> None:
    assert not RELATIONS.is_wanted(Config())
    assert not RELATIONS.is_wanted(Config(edges=EdgesConfig(rule="early-stop"), topk=TopkConfig(predict=True)))
    assert RELATIONS.is_wanted(Config(edges=EdgesConfig(rule="early-stop"), relations=RelationsConfig(score="recall")))
    assert RELATIONS.is_wanted(Config(edges=EdgesConfig(rule="score"), relations=RelationsConfig(score="all")))


def test_settings_are_what_decides_a_score_and_no_more() -> None:
    recall = Config(
        edges=EdgesConfig(rule="early-stop"), relations=RelationsConfig(score="recall"), model="a", model_digest="1"
    )
    everything = replace(recall, edges=EdgesConfig(rule="score"), relations=RelationsConfig(score="all"))
    for config in (recall, everything):
        before = RELATIONS.settings(config)
        assert RELATIONS.settings(replace(config, model_digest="2")) != before
        assert RELATIONS.settings(replace(config, model="elsewhere", knn=KnnConfig(k=9))) == before
        for name, value in {"eta": 0.3, "reserve": 0.3, "combine": "minimum"}.items():
            assert RELATIONS.settings(replace(config, edges=replace(config.edges, **{name: value}))) == before, name
        for name, value in {"theta": 0.3, "transform": "sigmoid", "tau": 3.0, "delta": 3.0}.items():
            moved = RELATIONS.settings(replace(config, edges=replace(config.edges, **{name: value}))) != before
            assert moved == (config is recall), name
