"""Weights of strength: against scikit-learn, what they must do whatever the data, and probabilities on generated clusters."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from raycluster.config.load import load_config
from raycluster.evaluation.truth import UNKNOWN
from raycluster.kernels.neighborhoods.pair_sums import Limits, PairSums
from raycluster.models.strength import WEIGHTS, Evidence, probability
from raycluster.training import fit_strength as strength
from raycluster.training.labelled_set import LabelledSet
from support.labelled import ROWS, K, opened

TRUE = {
    "intercept": 0.4, "row": 1.1, "pairs": -0.7, "inside": 0.5, "alone": 1.5, "conflicts": -0.3,
}  # fmt: skip
LINES: list[str] = []


def rows(seed: int, size: int = 3000) -> tuple[Any, Any]:
    """Features, and truths that follow the weights `TRUE`."""
    rng = np.random.default_rng(seed)
    features = rng.normal([1, 2, 1, 0, -1], 1.5, (size, 5))
    return features, (rng.random(size) < probability(TRUE, features)).astype(np.float64)


def test_weights_are_ridge_regression_on_the_smoothed_targets() -> None:
    features, right = rows(0)
    found = strength.fit(features, right)
    x = (features - features.mean(axis=0)) / features.std(axis=0)
    high, low = (right.sum() + 1) / (right.sum() + 2), 1 / (len(right) - right.sum() + 2)
    target = low + (high - low) * right
    oracle = LogisticRegression(C=1 / (strength.PENALTY * len(right)), tol=1e-10, max_iter=10_000).fit(
        np.concatenate([x, x]), np.repeat([1, 0], len(x)), np.concatenate([target, 1 - target])
    )
    np.testing.assert_allclose(probability(found, features), oracle.predict_proba(x)[:, 1], atol=1e-3)
    assert found == pytest.approx(TRUE, abs=0.25)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from(["any", "right", "wrong", "reversed"]))
def test_weights_are_finite_and_a_higher_mean_score_never_makes_a_row_less_sure(
    seed: int, size: int, kind: str
) -> None:
    features, right = rows(seed, size)
    features[:, 2] = 0.1  # of one set alone
    truths = {"any": right, "right": np.ones(size), "wrong": np.zeros(size)}
    found = strength.fit(features, truths.get(kind, (features[:, 0] < 1).astype(float)))
    assert tuple(found) == WEIGHTS
    assert np.isfinite(list(found.values())).all()
    assert found["row"] >= 0
    assert found["inside"] == 0


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    return opened(tmp_path_factory.mktemp("set"), noise=0.9)


def test_rows_of_held_out_identities_are_right_where_theirs_is_the_majority_of_the_cluster(
    labelled: LabelledSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config("sdt-row", {"knn": {"k": K}, "edges": {"eta": 0.5}}, "test")
    logit = np.where(labelled.same(np.arange(ROWS)), 2.0, -2.0)
    logit += 2 * np.random.default_rng(0).standard_normal(logit.shape)
    score = (1 / (1 + np.exp(-logit))).astype(np.float32)
    score[:, 0] = np.nan
    has_topk = dataclasses.replace(labelled, topk=np.full(ROWS, K))
    clusters: list[Any] = []
    plain = strength.identities_of
    monkeypatch.setattr(strength, "identities_of", lambda tables: clusters.append(plain(tables)) or clusters[-1])
    weights, table, quality = strength.fit_strength([has_topk], [score], config, "relative", LINES.append)
    cluster = clusters[0]
    limits = Limits(0.5, labelled.statistics.limit)
    evidence = Evidence.of(cluster, PairSums.of(cluster, [(0, labelled.neighbor, labelled.similarity, score)], limits))
    right, used = [], []
    for row in np.flatnonzero(labelled.held_out & (labelled.identity != UNKNOWN)):
        others = labelled.identity[(cluster == cluster[row]) & (labelled.identity != UNKNOWN)]
        values, counts = np.unique(others, return_counts=True)
        if len(others) > 1:
            used.append(row)
            top = values[counts == counts.max()]
            right.append(1 / len(top) if labelled.identity[row] in top else 0.0)
    assert quality["rows"] == len(used) == sum(line["count"] for line in table) > 20
    assert quality["share_right"] == pytest.approx(np.mean(right))
    assert 0 < quality["share_right"] < 1
    assert weights == pytest.approx(strength.fit(evidence.features[used], np.array(right)), rel=1e-3, abs=1e-3)
    assert f"{len(used):,} held-out rows" in LINES[-1]


def test_reliability_is_of_sets_the_fit_has_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    samples: Any = [rows(seed, 40) for seed in range(6)]
    monkeypatch.setattr(strength, "_sample", lambda number, *_: samples[number])
    seen: list[int] = []
    plain = strength.fit
    monkeypatch.setattr(strength, "fit", lambda features, right: seen.append(len(right)) or plain(features, right))
    numbers: Any = list(range(6))
    config: Any = None
    weights, table, _ = strength.fit_strength(numbers, numbers, config, "relative", LINES.append)
    assert seen == [240, 160, 200, 200, 200, 200, 160]
    assert sum(line["count"] for line in table) == 240
    assert weights == plain(*(np.concatenate(values) for values in zip(*samples, strict=True)))


def test_no_weights_where_no_held_out_row_shares_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strength, "_sample", lambda *_: (np.empty((0, 5)), np.empty(0)))
    nothing: Any = [None]
    assert strength.fit_strength(nothing, nothing, nothing, "relative", LINES.append) == ({}, [], {})
