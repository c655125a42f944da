"""Curves by direct counting, and the properties that a chosen threshold or floor must have."""

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from raycluster.arrays import Bool, Floats
from raycluster.errors import InputError
from raycluster.training import calibration

SCORES = hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(0, 1, width=16))
SEEDS = st.integers(0, 2**32 - 1)


def truths(score: Floats, seed: int) -> Bool:
    return np.random.default_rng(seed).random(len(score)) < 0.4


@settings(max_examples=60, deadline=None)
@given(SCORES, SEEDS, st.lists(st.floats(-0.5, 1.5), max_size=8))
def test_the_edge_curve_is_direct_counting(score: Floats, seed: int, thresholds: list[float]) -> None:
    same = truths(score, seed)
    thresholds += score[:5].tolist()
    curve = calibration.edge_curve(score, same, thresholds)
    assert json.loads(json.dumps(curve)) == curve
    assert [point["threshold"] for point in curve] == thresholds
    for point in curve:
        kept = score >= np.float32(point["threshold"])
        assert point["edges"] == kept.sum()
        assert point["precision"] == pytest.approx(same[kept].mean() if kept.any() else 1)
        assert point["recall"] == pytest.approx((same & kept).sum() / same.sum() if same.any() else 1)


def test_a_threshold_written_as_decimals_keeps_the_float32_score_it_names() -> None:
    score = np.array([0.22, 0.3], np.float32)
    assert calibration.edge_curve(score, np.array([True, True]), [0.22])[0]["edges"] == 2


@settings(max_examples=100, deadline=None)
@given(SCORES, SEEDS, st.floats(0.01, 1))
def test_the_floor_keeps_the_share_and_the_next_higher_one_does_not(nep: Floats, seed: int, share: float) -> None:
    same = truths(nep, seed)
    assume(same.any())
    floor = calibration.floor_for_recall(nep, same, share)
    true = nep[same]
    assert (true >= floor).mean() >= share - 1e-9
    assert (true > floor).mean() < share
    assert calibration.edge_curve(nep, same, [floor])[0]["recall"] >= share - 1e-9


def test_the_floor_of_twenty_true_pairs_gives_up_one() -> None:
    nep = np.linspace(0, 1, 21, dtype=np.float32)
    same = np.arange(21) > 0
    assert calibration.floor_for_recall(nep, same, 0.95) == nep[2]
    assert calibration.floor_for_recall(nep, same, 1.0) == nep[1]
    with pytest.raises(InputError, match="train on more identities"):
        calibration.floor_for_recall(nep, np.zeros(21, bool))


def point(f: float, threshold: float) -> dict[str, float]:
    return {"f": f, "threshold": threshold}


def test_the_best_point_is_the_strictest_of_those_near_the_highest() -> None:
    curve = [point(0.9, 0.2), point(0.9005, 0.1), point(0.9, 0.3), point(0.8, 0.9)]
    assert calibration.best(curve) == curve[2]
    assert calibration.best(curve, tolerance=0) == curve[1]
    assert calibration.best(curve, key="threshold", tolerance=0) == curve[3]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.builds(point, st.floats(0, 1), st.floats(0, 1)), min_size=1), st.floats(0, 0.5))
def test_the_best_point_is_within_tolerance_and_none_so_near_is_stricter(
    curve: list[dict[str, float]], tolerance: float
) -> None:
    found = calibration.best(curve, tolerance=tolerance)
    highest = max(row["f"] for row in curve)
    assert found in curve
    assert found["f"] >= highest - tolerance
    assert all(row["threshold"] <= found["threshold"] for row in curve if row["f"] >= highest - tolerance)
