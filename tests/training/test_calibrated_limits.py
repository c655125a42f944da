"""Limits read from held-out identities: what the walk and the scores are calibrated to, checked against brute force."""

import copy
import dataclasses
from typing import Any
from unittest import mock

import numpy as np
import pytest

from raycluster.config.load import load_config
from raycluster.kernels import edge_rules
from raycluster.models.calibration import platt
from raycluster.stages import edges
from raycluster.storage import node_cache as scratch
from raycluster.training import calibrated_limits as limits
from raycluster.training import calibration
from raycluster.training.labelled_set import LabelledSet
from support.labelled import K, opened

SAID: list[str] = []


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    return opened(tmp_path_factory.mktemp("set"), noise=0.9)


def columns(part: LabelledSet, wanted: Any) -> edge_rules.Columns:
    """Undirected edges of the wanted pairs (N, K)."""
    row, rank = np.nonzero(wanted)
    target = part.neighbor[row, rank]
    return {"source": row.astype(np.int32), "target": target, "weight": np.ones(len(row), np.float32)}


def test_true_edges_are_perfect_and_no_edges_have_no_recall_beyond_a_row_itself(part: LabelledSet) -> None:
    every = np.arange(part.run.rows)
    true = part.same(every) & (np.arange(K) > 0) & (part.identity >= 0)[:, None]
    config = load_config("cosine", {"knn": {"k": K}}, "test")
    assert limits.quality(part, columns(part, true), config)["f"] == pytest.approx(1.0)
    alone = limits.quality(part, columns(part, np.zeros_like(true)), config)
    held_out = part.anchors(held_out=True)
    assert alone["precision"] == 1.0
    assert alone["recall"] == pytest.approx((1 / part.size[held_out]).mean())
    assert alone["edges"] == 0


def test_theta_is_the_best_of_its_curve_and_the_floor_keeps_nearly_all_true_pairs(part: LabelledSet) -> None:
    config = load_config("fc-es", {"knn": {"k": K}}, "test")
    found, curve, best = limits.of_early_stop([part], config, SAID.append)
    assert [point["threshold"] for point in curve] == limits.GRID
    assert found["theta"] == best["threshold"] == calibration.best(curve)["threshold"]
    assert best["f"] >= max(point["f"] for point in curve) - 0.001
    nep = edges.nep_of(part.run, 0, part.run.rows)
    at = edge_rules.early_stop_edges(0, part.neighbor, part.similarity, nep, found["theta"], None, np.inf)
    assert limits.quality(part, at, config)["f"] == pytest.approx(best["f"])
    rows = part.anchors(held_out=True)
    left = edge_rules.recallable(part.neighbor[rows], nep[rows], found["theta"], 0.0)
    true = nep[rows][left & (nep[rows] > 0) & part.known(rows, held_out=True) & part.same(rows)]
    assert found["floor"] > 0
    assert (true >= found["floor"]).mean() >= 0.95
    assert str(found["theta"]) in SAID[-1]


def test_probabilities_and_eta_come_from_held_out_pairs(part: LabelledSet, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config("sdt-row", {"knn": {"k": K}}, "test")
    every = np.arange(part.run.rows)
    rng = np.random.default_rng(0)
    logit = np.where(part.same(every), 2.0, -2.0) + rng.standard_normal((part.run.rows, K))
    raw = (1 / (1 + np.exp(-2 * logit))).astype(np.float32)  # twice too sure
    raw[:, 0] = np.nan
    plain = scratch.joined
    monkeypatch.setattr(
        scratch, "joined", lambda run, stage, *rest: raw if stage == "relations" else plain(run, stage, *rest)
    )
    found, curves, quality = limits.of_scores([part], config, {}, SAID.append)
    rows = part.anchors(held_out=True)
    judged = part.known(rows, held_out=True)
    assert quality["pairs"] == np.count_nonzero(judged)
    slope, intercept = platt(2 * logit[rows][judged], part.same(rows)[judged])
    assert (found["slope"], found["intercept"]) == pytest.approx((slope, intercept), abs=1e-3)
    assert quality["calibration_error"] <= quality["calibration_error_before"] + 0.01
    assert found["eta"] == calibration.best(curves["eta"])["threshold"]
    assert curves.keys() == {"eta", "reliability", "edges"}


def test_a_set_tells_where_its_held_out_identities_are_many_and_most_neighbors_labelled(
    part: LabelledSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = part.anchors(held_out=True)
    identities, pairs = len(np.unique(part.identity[rows])), np.count_nonzero(part.known(rows, held_out=True))
    share = pairs / (len(rows) * (K - 1))

    def told(least: int, of_pairs: int, known: float) -> bool:
        for name, value in (("IDENTITIES", least), ("PAIRS", of_pairs), ("KNOWN", known)):
            monkeypatch.setattr(limits, f"LEAST_{name}", value)
        return limits.tells(part)

    assert told(identities, pairs, share - 0.01)
    assert not told(identities + 1, pairs, share - 0.01)
    assert not told(identities, pairs + 1, share - 0.01)
    assert not told(identities, pairs, share + 0.01)


def test_a_limit_of_the_model_is_read_from_the_sets_that_show_none_of_their_own(
    part: LabelledSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    same = part.same(np.arange(part.run.rows))
    apart = np.where(same, rng.beta(9, 2, same.shape), rng.beta(1, 20, same.shape)).astype(np.float32)
    alike = rng.beta(1, 5, same.shape).astype(np.float32)
    apart[:, 0] = alike[:, 0] = np.nan
    raw = {"apart": apart, "alike": alike}
    plain, of_run = scratch.joined, dataclasses.replace(part, run=copy.copy(part.run))

    def joined(run: Any, stage: str, *rest: Any) -> Any:
        return raw["apart" if run is part.run else "alike"] if stage == "relations" else plain(run, stage, *rest)

    monkeypatch.setattr(scratch, "joined", joined)
    opinion = mock.Mock(return_value={"similarity": 0.99})
    monkeypatch.setattr(edges, "second_opinion", opinion)
    cases = ((True, "score", "infomap", 1), (False, "score", "infomap", 2), (True, "density-peaks", "components", 2))
    most = {}
    for valley, rule, engine, used in cases:
        keys = {"knn": {"k": K}, "edges": {"valley": valley, "rule": rule}, "communities": {"engine": engine}}
        _, curves, found = limits.of_scores([part, of_run], load_config("auto", keys, "test"), {}, SAID.append)
        assert found["sets"] == used
        most[valley, rule] = curves["closeness" if rule == "density-peaks" else "eta"][0]["edges"]
    assert opinion.call_args_list == [mock.call(part.similarity, part.vectors)]
    assert most[True, "score"] < most[False, "score"] / 5
