"""Probabilities from the weights that ship."""

import numpy as np
import pytest

from raycluster.review import calibration
from raycluster.review.calibration import probability


def test_a_probability_is_the_logistic_of_weighted_features(monkeypatch):
    monkeypatch.setattr(calibration, "weights", lambda: {"kind": {"a": 2.0, "b": -1.0, "intercept": 0.5}})
    features = {"a": np.array([0.0, 1.0]), "b": np.array([0.0, 3.0])}
    assert probability("kind", features) == pytest.approx(1 / (1 + np.exp(-np.array([0.5, -0.5]))))
    assert np.array_equal(probability("kind", features), probability("kind", dict(reversed(features.items()))))


def test_features_must_be_those_of_the_weights(monkeypatch):
    monkeypatch.setattr(calibration, "weights", lambda: {"kind": {"a": 2.0, "intercept": 0.5}})
    with pytest.raises(AssertionError, match="fitted on these features"):
        probability("kind", {"b": np.zeros(1)})


def test_every_kind_has_an_intercept():
    assert all("intercept" in table for table in calibration.weights().values())
