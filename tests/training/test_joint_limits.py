"""Theta, floor and eta together, on a set whose scores are the truth, and as published."""

import dataclasses

import numpy as np
import pytest

from raycluster.config.load import load_config
from raycluster.stages.nep import nep_of
from raycluster.stages.stage import row_shards
from raycluster.training import calibration
from raycluster.training import joint_limits as joint
from raycluster.training.labelled_set import LabelledSet
from support.labelled import ROWS, K, opened

FLOOR = 0.05


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    return opened(tmp_path_factory.mktemp("set"), noise=0.9)


def test_the_best_point_of_the_surface_is_chosen_and_a_perfect_predictor_finds_what_lists_hold(
    labelled: LabelledSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joint, "THETAS", (0.1, 0.5, 0.97))
    monkeypatch.setattr(joint, "ETAS", (0.5, 0.9))
    nep = np.concatenate([nep_of(labelled.tables, task) for task in row_shards(labelled.tables)])
    truth = labelled.same(np.arange(ROWS)).astype(np.float32)
    score = np.where(nep >= FLOOR, np.where(truth > 0, np.float32(0.95), np.float32(0.05)), np.float32(np.nan))
    config = load_config("fc-eser", {"knn": {"k": K}}, "test")
    lines: list[str] = []
    limits, surface, best = joint.joint_limits([labelled], [score], config, FLOOR, lines.append)
    assert len(surface) == 3 * 2 + len(joint.FLOORS) - 1
    assert best["f"] >= max(point["f"] for point in surface) - calibration.TOLERANCE
    assert limits == {name: best[name] for name in ("theta", "floor", "eta")}
    assert limits["theta"] == 0.97  # what a perfect predictor decides needs no walk
    assert best["f"] > 0.9
    assert lines[0].startswith("theta 0.97, floor 0.05")
    curve = joint.eta_curve(surface, limits)
    assert [point["threshold"] for point in curve] == [0.5, 0.9]
    fixed = dataclasses.replace(config, edges=dataclasses.replace(config.edges, theta=0.5, eta=0.9))
    limits, surface, _ = joint.joint_limits([labelled], [score], fixed, FLOOR, lines.append)
    assert (limits["theta"], limits["eta"], len(surface)) == (0.5, 0.9, 4)


@pytest.mark.parametrize(("recipe", "eta"), [("fc-eser", 0.60), ("diff-cluster", 0.90)])
def test_published_limits_are_those_of_the_transform(recipe: str, eta: float) -> None:
    assert joint.published_limits(load_config(recipe)) == {"theta": 0.22, "floor": 0.12, "eta": eta}
