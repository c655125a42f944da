"""Slope and intercept come from held-out pairs alone, and undo what made the raw scores."""

import numpy as np
import pytest
from scipy.special import expit

from raycluster.arrays import Float32, Float64
from raycluster.models.calibration import platt
from raycluster.training.labelled_set import LabelledSet
from raycluster.training.probabilities import fit_probabilities, raw_logits
from support.labelled import ROWS, K, opened


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    return opened(tmp_path_factory.mktemp("set"), noise=0.9)


def noisy_logits(labelled: LabelledSet) -> Float64:
    rng = np.random.default_rng(0)
    return np.where(labelled.same(np.arange(ROWS)), 2.0, -2.0) + rng.standard_normal((ROWS, K))


def put_scores(labelled: LabelledSet, score: Float32, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the set's run hold these raw scores."""
    plain = labelled.tables.column
    monkeypatch.setattr(
        labelled.tables, "column", lambda stage, *rest: score if stage == "relations" else plain(stage, *rest)
    )


def test_probabilities_come_from_held_out_pairs(labelled: LabelledSet, monkeypatch: pytest.MonkeyPatch) -> None:
    logit = noisy_logits(labelled)
    raw = expit(2 * logit).astype(np.float32)  # twice too certain
    raw[:, 0] = np.nan
    put_scores(labelled, raw, monkeypatch)
    fitted = fit_probabilities([labelled])
    rows = labelled.anchors(held_out=True)
    usable = labelled.usable(rows, held_out=True)
    assert fitted.metrics["pairs"] == np.count_nonzero(usable)
    expected = platt(2 * logit[rows][usable], labelled.same(rows)[usable])
    assert (fitted.slope, fitted.intercept) == pytest.approx(expected, abs=1e-3)
    assert fitted.metrics["calibration_error"] <= fitted.metrics["calibration_error_before"] + 0.01
    assert sum(line["count"] for line in fitted.reliability) == fitted.metrics["pairs"]
    probabilities = fitted.scores[0]
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(probabilities), np.isnan(raw))
    np.testing.assert_allclose(
        probabilities[:, 1:], expit(fitted.slope * 2 * logit + fitted.intercept)[:, 1:], atol=1e-3
    )


def test_raw_logits_are_finite_at_both_ends_and_nan_where_nothing_was_scored(
    labelled: LabelledSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = np.full((ROWS, K), 0.25, np.float32)
    raw[0, :4] = [np.nan, 0, 1, 0.5]
    put_scores(labelled, raw, monkeypatch)
    logits = raw_logits(labelled)
    assert np.isnan(logits[0, 0])
    assert logits[0, 1] == -logits[0, 2] < -16
    np.testing.assert_allclose(logits[0, 3:5], [0, np.log(1 / 3)], atol=1e-6)
