"""Where the limits of a run come from, and which stored edges pass them."""

import dataclasses
import json
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.config.stages import CommunitiesConfig, Config, EdgesConfig, RelationsConfig
from raycluster.errors import ConfigError
from raycluster.kernels import edge_rules
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.limits import in_force, valley
from raycluster.limits.cohesion import Lists
from raycluster.limits.far_ranks import FAR_RANKS, FULL_NEIGHBORHOODS, TOO_FEW_ROWS, pick_threshold
from raycluster.limits.in_force import EdgeLimits, decide_limits, passes_limits
from raycluster.limits.random_pairs import sample_pairs
from raycluster.limits.without_valley import FULL_ETA, ODDS_OVER_FULL
from support.data import identities, neighbor_table
from support.edge_tables import COLUMNS, random_scores

RULES = ["threshold", "score", "early-stop", "gap", "density-peaks"]


def configured(rule, score="none", **keys):
    engine = "components" if rule == "density-peaks" else "infomap"
    return Config(
        edges=EdgesConfig(rule=rule, **keys),
        relations=RelationsConfig(score=score),
        communities=CommunitiesConfig(engine=engine),
    )


def without_data(config, calibrated=None):
    """Limits where no data may be read."""
    return decide_limits(config, None, None, None, calibrated or {})


def limits_of(rule, value):
    """Limits of a rule, the swept one at `value`."""
    swept = {"threshold": "threshold", "score": "eta", "early-stop": "theta", "density-peaks": "closeness"}
    return EdgeLimits(**({swept[rule]: value} if rule in swept else {}))


def test_a_configured_limit_is_in_force_whatever_the_model_was_calibrated_to():
    model = {"theta": 0.7, "eta": 0.8}
    assert without_data(configured("threshold", threshold=0.4), model) == EdgeLimits(threshold=0.4, picked=False)
    assert without_data(configured("early-stop", theta=0.3), model) == EdgeLimits(theta=0.3)
    recall = configured("early-stop", "recall", theta=0.3, eta=0.0)
    assert without_data(recall, model) == EdgeLimits(theta=0.3, eta=0.0)
    assert without_data(configured("score", "all", eta=0.2), model) == EdgeLimits(eta=0.2)
    assert without_data(configured("score", "all", eta=0.2, valley=True), model) == EdgeLimits(eta=0.2)
    assert without_data(configured("gap"), model) == EdgeLimits()
    peaks = configured("density-peaks", closeness=0.1)
    assert without_data(peaks, {"closeness": 0.5}) == EdgeLimits(closeness=0.1)


def test_the_models_limit_is_in_force_where_none_is_configured():
    model = {"theta": 0.7, "eta": 0.0, "slope": 3.0}
    assert without_data(configured("early-stop", theta=None), model) == EdgeLimits(theta=0.7)
    recall = configured("early-stop", "recall", theta=None)
    assert without_data(recall, model) == EdgeLimits(theta=0.7, eta=0.0)
    assert without_data(configured("score", "all"), model) == EdgeLimits(eta=0.0)
    peaks = configured("density-peaks", "all", closeness=None)
    assert without_data(peaks, {**model, "closeness": 0.6}) == EdgeLimits(closeness=0.6)


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
def test_a_limit_that_is_neither_configured_nor_calibrated_is_refused_by_name(config, calibrated, key):
    with pytest.raises(ConfigError) as caught:
        without_data(config, calibrated)
    expected = f"{key} is not set and no model was given that was calibrated for it; set it or use --model."
    assert str(caught.value) == expected


def test_a_threshold_is_picked_from_the_data_where_none_is_configured():
    vectors, _ = identities(30, 8)
    neighbor, similarity = exact_top_k(vectors, np.arange(240, dtype=np.int32), vectors, 12)
    found = decide_limits(Config(), neighbor, similarity, vectors, {"threshold": 0.9})
    threshold, facts = pick_threshold(similarity, sample_pairs(vectors), Lists(neighbor, vectors))
    assert found == EdgeLimits(threshold=threshold, picked=True, facts=facts)
    assert 0.2 < found.threshold < 0.9
    assert found.to_json() == {"threshold": threshold, "picked": True, **facts}


def test_eta_is_configured_or_the_sets_own_valley_or_the_models():
    neighbor, _ = neighbor_table(40, 10, 0)
    score = random_scores(neighbor, 0)

    def decided(eta_of_set, **keys):
        config = configured("score", "all", **keys)
        with (
            mock.patch.object(valley, "eta_of", return_value=eta_of_set) as eta_of,
            mock.patch.object(in_force, "sample_pairs"),
            mock.patch.object(in_force, "pick_threshold", return_value=(0.5, {"basis": TOO_FEW_ROWS})),
        ):
            limits = decide_limits(config, neighbor, None, None, {"eta": 0.4}, score)
        assert [call.args for call in eta_of.mock_calls] == [(neighbor, score, "mean", 0.4)] * (
            limits.valley is not None
        )
        return limits

    assert decided(0.7, valley=True) == EdgeLimits(eta=0.7, valley=True)
    assert decided(None, valley=True) == EdgeLimits(eta=0.4, valley=False, similarity=0.5)
    assert decided(0.7) == EdgeLimits(eta=0.4)
    assert decided(0.7, valley=True, eta=0.55) == EdgeLimits(eta=0.55)


def test_full_lists_have_a_low_limit_and_odds_relative_to_it():
    vectors, _ = identities(3, 40)
    neighbor, similarity = exact_top_k(vectors, np.arange(120, dtype=np.int32), vectors, 12)
    with (
        mock.patch.object(in_force, "pick_threshold", return_value=(-1.0, {"basis": FULL_NEIGHBORHOODS})),
        mock.patch.object(valley, "eta_of", return_value=None),
    ):
        config = configured("score", "all", valley=True)
        limits = decide_limits(config, neighbor, similarity, vectors, {"eta": 0.6}, np.full_like(similarity, 0.2))
    least = pytest.approx(ODDS_OVER_FULL * FULL_ETA / (1 - FULL_ETA))
    assert limits == EdgeLimits(eta=FULL_ETA, valley=False, is_full=True, most_odds=least)
    assert limits.highest_odds == EdgeLimits(eta=FULL_ETA, is_full=True).highest_odds == least
    assert EdgeLimits.from_json(limits.to_json()) == limits


@pytest.mark.parametrize(("risk", "overrules"), [(0.0, True), (0.5, False)])
def test_a_clear_threshold_overrules_scores_that_contradict_it(risk, overrules):
    vectors, _ = identities(30, 8)
    neighbor, similarity = exact_top_k(vectors, np.arange(240, dtype=np.int32), vectors, 12)
    score = np.full_like(similarity, 0.9)  # strangers too
    facts = {"basis": FAR_RANKS, "risk": risk}
    with (
        mock.patch.object(in_force, "pick_threshold", return_value=(0.6, facts)),
        mock.patch.object(valley, "eta_of", return_value=None),
    ):
        config = configured("score", "all", valley=True)
        limits = decide_limits(config, neighbor, similarity, vectors, {"eta": 0.4}, score)
    if not overrules:
        assert (limits.threshold, limits.eta, limits.similarity) == (None, 0.4, 0.6)
        return
    assert (limits.threshold, limits.picked, limits.eta, limits.swept_name) == (0.6, True, None, "threshold")
    near = similarity[:, 1:] >= 0.6
    assert limits.facts["disagreement"] == pytest.approx(((1 - near.mean(axis=1)) ** 2).mean(), abs=1e-6)
    assert EdgeLimits.from_json(limits.to_json()) == limits
    edges = {"weight": np.array([0.5, 0.7], np.float32), "score": np.full(2, np.nan, np.float32)}
    assert passes_limits(edges, config.edges, limits).tolist() == [False, True]


def test_a_run_is_swept_by_eta_then_by_its_threshold_closeness_or_theta():
    assert EdgeLimits(threshold=0.61, picked=True).swept_value == 0.61
    assert EdgeLimits(theta=0.3).swept_value == EdgeLimits(closeness=0.3).swept_value == 0.3
    assert EdgeLimits(theta=0.3, eta=0.8).swept_value == EdgeLimits(eta=0.8).swept_value == 0.8
    assert EdgeLimits(theta=0.3, eta=0.8).swept_name == "eta"
    assert (EdgeLimits().swept_name, EdgeLimits().swept_value) == (None, -1.0)


def test_a_limit_of_zero_is_a_limit():
    assert (EdgeLimits(theta=0.3, eta=0.0).swept_name, EdgeLimits(theta=0.3, eta=0.0).swept_value) == ("eta", 0.0)


def test_moving_the_swept_limit_leaves_the_others():
    assert EdgeLimits(theta=0.3, eta=0.8).moved_to(0.5) == EdgeLimits(theta=0.3, eta=0.5)
    assert EdgeLimits(threshold=0.6, picked=True).moved_to(0.5) == EdgeLimits(threshold=0.5, picked=True)
    with pytest.raises(AssertionError, match="no limit to move"):
        EdgeLimits().moved_to(0.5)


@pytest.mark.parametrize(
    ("limits", "keys"),
    [
        (EdgeLimits(threshold=0.4, picked=False), {"threshold": 0.4, "picked": False}),
        (
            EdgeLimits(threshold=0.4, picked=True, facts={"basis": "far", "risk": 0.1}),
            {"threshold": 0.4, "picked": True, "basis": "far", "risk": 0.1},
        ),
        (EdgeLimits(closeness=0.3), {"closeness": 0.3}),
        (EdgeLimits(theta=0.2, eta=0.0), {"theta": 0.2, "eta": 0.0}),
        (EdgeLimits(eta=0.6, valley=True), {"eta": 0.6, "valley": True}),
        (EdgeLimits(eta=0.6, valley=False, similarity=0.5), {"eta": 0.6, "valley": False, "similarity": 0.5}),
        (EdgeLimits(), {}),
    ],
)
def test_limits_are_the_keys_of_the_manifest_in_order_and_come_back(limits, keys):
    assert list(limits.to_json().items()) == list(keys.items())
    assert EdgeLimits.from_json(json.loads(json.dumps(limits.to_json()))) == limits


def test_every_field_has_its_key():
    names = {field.name for field in dataclasses.fields(EdgeLimits)}
    assert names == {*in_force.FIELDS, "facts"}


def test_the_highest_odds_are_relative_to_the_sets_own_valley():
    assert EdgeLimits(eta=0.6).highest_odds == EdgeLimits(eta=0.6, valley=False).highest_odds == 32
    assert EdgeLimits(eta=0.6, valley=True).highest_odds == pytest.approx(15)


def test_limits_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EdgeLimits().eta = 0.5


@pytest.mark.parametrize("rule", ["threshold", "score"])
def test_an_edge_at_the_limit_passes(rule):
    edges = {"weight": np.array([0.2, 0.3, 0.4], np.float32), "score": np.array([0.2, 0.3, 0.4], np.float32)}
    assert passes_limits(edges, EdgesConfig(rule=rule), limits_of(rule, 0.3)).tolist() == [False, True, True]
    assert passes_limits(edges, EdgesConfig(rule=rule), limits_of(rule, 0.1), 0.3).tolist() == [False, True, True]


def test_density_peaks_must_be_closer_than_the_limit():
    edges = {"weight": np.array([0.2, 0.3, 0.4], np.float32)}
    limits = EdgeLimits(closeness=0.3)
    assert passes_limits(edges, EdgesConfig(rule="density-peaks"), limits).tolist() == [False, False, True]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=30), st.integers(0, 5))
def test_every_walk_ends_at_its_first_edge_below(pairs, limit):
    pairs = sorted(pairs, key=lambda pair: pair[0])
    edges = {"source": np.array([s for s, _ in pairs], np.int32), "nep": np.array([n for _, n in pairs], np.float32)}
    stopped, expected = set(), []
    for row, nep in pairs:
        if nep < limit:
            stopped.add(row)
        expected.append(row not in stopped)
    assert passes_limits(edges, EdgesConfig(rule="early-stop"), EdgeLimits(theta=0.0), limit).tolist() == expected


def test_walked_edges_pass_any_eta():
    edges = {"score": np.array([np.nan, 0.5, 0.9, np.nan], np.float32)}
    limits = EdgeLimits(theta=0.4, eta=0.5)
    assert passes_limits(edges, EdgesConfig(rule="early-stop"), limits, 0.8).tolist() == [True, False, True, True]


def test_gap_edges_always_pass():
    edges = edge_rules.gap_edges(0, 30, *neighbor_table(30, 8, 0), 2, 3.0)
    assert len(edges["weight"]) > 0
    assert passes_limits(edges, EdgesConfig(rule="gap"), EdgeLimits()).tolist() == [True] * len(edges["weight"])


@pytest.mark.parametrize("rule", RULES)
def test_no_edges_at_all_pass(rule):
    nothing = {column: np.empty(0, dtype) for column, dtype in COLUMNS.items()}
    passed = passes_limits(nothing, EdgesConfig(rule=rule), limits_of(rule, 0.5), 0.6)
    assert (passed.dtype, passed.shape) == (bool, (0,))
