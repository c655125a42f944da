"""Weights of strength: against scikit-learn, what they must do whatever the data, and probabilities on generated clusters."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from raycluster.config.load import load_config
from raycluster.evaluation import metrics
from raycluster.evaluation.truth import UNKNOWN
from raycluster.models.strength import WEIGHTS, Evidence, probability
from raycluster.storage import node_cache as scratch
from raycluster.training import fit_strength as strength
from raycluster.training.labelled_set import LabelledSet
from support.labelled import K, opened

TRUE = {"intercept": 0.4, "row": 1.1, "pairs": -0.7, "inside": 0.5, "alone": 1.5}
SAID: list[str] = []


def rows(seed: int, size: int = 3000) -> tuple[Any, Any]:
    """Features, and truths that follow the weights `TRUE`."""
    rng = np.random.default_rng(seed)
    features = rng.normal([1, 2, 1, 0], 1.5, (size, 4))
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
def part(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    return opened(tmp_path_factory.mktemp("set"), noise=0.9)


def test_rows_of_held_out_identities_are_judged_by_the_majority_of_all(
    part: LabelledSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config("sdt-row", {"knn": {"k": K}}, "test")
    logit = np.where(part.same(np.arange(part.run.rows)), 2.0, -2.0)
    logit += 2 * np.random.default_rng(0).standard_normal(logit.shape)
    raw = (1 / (1 + np.exp(-logit))).astype(np.float32)
    raw[:, 0] = np.nan
    plain = scratch.joined
    monkeypatch.setattr(
        scratch, "joined", lambda run, stage, *rest: raw if stage == "relations" else plain(run, stage, *rest)
    )
    known = {"slope": 1.0, "intercept": 0.0, "eta": 0.5}
    partitions: list[Any] = []
    partition = strength.limits.partition
    monkeypatch.setattr(
        strength.limits, "partition", lambda *given: partitions.append(partition(*given)) or partitions[-1]
    )
    weights, table, found = strength.of_clusters([part], config, known, SAID.append)
    cluster = partitions[0]
    evidence = Evidence.of(cluster, [(0, part.neighbor, raw)])
    right, judged = [], []
    for row in np.flatnonzero(part.held_out & (part.identity != UNKNOWN)):
        others = part.identity[(cluster == cluster[row]) & (part.identity != UNKNOWN)]
        values, counts = np.unique(others, return_counts=True)
        if len(others) > 1:
            judged.append(row)
            top = values[counts == counts.max()]
            right.append(1 / len(top) if part.identity[row] in top else 0.0)
    assert found["rows"] == len(judged) == sum(line["count"] for line in table) > 20
    assert found["share_right"] == pytest.approx(np.mean(right))
    assert 0 < found["share_right"] < 1
    assert weights == pytest.approx(strength.fit(evidence.features[judged], np.array(right)), rel=1e-3, abs=1e-3)
    assert f"{len(judged):,} held-out rows" in SAID[-1]
    assert metrics.majority(part.identity, cluster)[0].mean() > 0


def test_reliability_is_of_sets_the_fit_has_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = [rows(seed, 40) for seed in range(6)]
    monkeypatch.setattr(strength, "_judged", lambda part, *_: sets[part])
    seen: list[int] = []
    plain = strength.fit
    monkeypatch.setattr(strength, "fit", lambda features, right: seen.append(len(right)) or plain(features, right))
    weights, table, _ = strength.of_clusters(list(range(6)), None, {}, SAID.append)  # type: ignore[arg-type]
    assert seen == [240, 160, 200, 200, 200, 200, 160]
    assert sum(line["count"] for line in table) == 240
    assert weights == plain(*(np.concatenate(each) for each in zip(*sets, strict=True)))


def test_no_weights_where_no_held_out_row_shares_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strength, "_judged", lambda *_: (np.empty((0, 4)), np.empty(0)))
    assert strength.of_clusters([None], None, {}, SAID.append) == ({}, [], {})  # type: ignore[arg-type, list-item]
