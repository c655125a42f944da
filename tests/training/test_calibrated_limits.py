"""Limits read from held-out identities, against brute force, and on the stages that runs use."""

import dataclasses
from typing import Any
from unittest import mock

import numpy as np
import pytest

from raycluster.arrays import Bool, Float32, Int32
from raycluster.config.load import load_config
from raycluster.kernels import edge_rules
from raycluster.kernels.components import components
from raycluster.limits.in_force import EdgeLimits
from raycluster.pipeline.sweep import communities_at
from raycluster.stages.edges import edges_in_force
from raycluster.stages.nep import nep_of
from raycluster.stages.stage import row_shards
from raycluster.training import calibrated_limits as limits
from raycluster.training import calibration
from raycluster.training.labelled_set import LabelledSet
from support.labelled import ROWS, K, opened

LINES: list[str] = []


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    return opened(tmp_path_factory.mktemp("set"), noise=0.9)


def clusters_of(labelled: LabelledSet, is_edge: Bool) -> Int32:
    """Connected components of pairs (N, K)."""
    row, rank = np.nonzero(is_edge)
    return components(row.astype(np.int32), labelled.neighbor[row, rank], ROWS).astype(np.int32)


def test_true_clusters_are_perfect_and_singletons_have_no_recall_beyond_a_row_itself(labelled: LabelledSet) -> None:
    _, true = np.unique(labelled.identity, return_inverse=True)
    assert limits.quality(labelled, true.astype(np.int32))["f"] == pytest.approx(1.0)
    alone = limits.quality(labelled, np.arange(ROWS, dtype=np.int32))
    held_out = labelled.anchors(held_out=True)
    assert alone["precision"] == 1.0
    assert alone["recall"] == pytest.approx((1 / labelled.size[held_out]).mean())


def test_theta_is_the_best_of_its_curve_and_the_floor_keeps_nearly_all_true_pairs(labelled: LabelledSet) -> None:
    config = load_config("fc-es", {"knn": {"k": K}}, "test")
    chosen, curve, best = limits.early_stop_limits([labelled], config, LINES.append)
    assert [point["threshold"] for point in curve] == limits.GRID
    assert chosen["theta"] == best["threshold"] == calibration.best(curve)["threshold"]
    assert best["f"] >= max(point["f"] for point in curve) - 0.001
    nep = np.concatenate([nep_of(labelled.tables, task) for task in row_shards(labelled.tables)])
    edges = edge_rules.early_stop_edges(0, labelled.neighbor, labelled.similarity, nep, chosen["theta"], None, np.inf)
    assert best["edges"] == len(edges["source"])
    rows = labelled.anchors(held_out=True)
    left = edge_rules.recallable(labelled.neighbor[rows], nep[rows], chosen["theta"], 0.0)
    true = nep[rows][left & (nep[rows] > 0) & labelled.usable(rows, held_out=True) & labelled.same(rows)]
    assert chosen["floor"] > 0
    assert (true >= chosen["floor"]).mean() >= 0.95
    assert str(chosen["theta"]) in LINES[-1]


def test_the_quality_at_a_limit_is_that_of_a_run_at_that_limit(labelled: LabelledSet) -> None:
    """The curve is of the stages' partition: edges down to the lowest limit, then read at every other."""
    config = load_config("components", {"knn": {"k": K}}, "test")
    tables = limits.edges_down_to(labelled, config, EdgeLimits(threshold=limits.GRID[0]))
    for at in (0.3, 0.5, 0.7):
        cluster, num_edges = communities_at(tables, at)
        direct = limits.edges_down_to(labelled, config, EdgeLimits(threshold=at))
        assert num_edges == len(edges_in_force(direct)["source"])
        is_edge = (labelled.similarity >= np.float32(at)) & labelled.others(np.arange(ROWS))
        expected = clusters_of(labelled, is_edge)
        assert limits.quality(labelled, cluster) == pytest.approx(limits.quality(labelled, expected))


def test_a_set_is_enough_where_its_held_out_identities_are_many_and_most_neighbors_labelled(
    labelled: LabelledSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = labelled.anchors(held_out=True)
    identities = len(np.unique(labelled.identity[rows]))
    pairs = np.count_nonzero(labelled.usable(rows, held_out=True))
    share = pairs / (len(rows) * (K - 1))

    def can(least_identities: int, least_pairs: int, least_labelled: float) -> bool:
        monkeypatch.setattr(limits, "LEAST_IDENTITIES", least_identities)
        monkeypatch.setattr(limits, "LEAST_PAIRS", least_pairs)
        monkeypatch.setattr(limits, "LEAST_LABELLED", least_labelled)
        return limits.can_calibrate(labelled)

    assert can(identities, pairs, share - 0.01)
    assert not can(identities + 1, pairs, share - 0.01)
    assert not can(identities, pairs + 1, share - 0.01)
    assert not can(identities, pairs, share + 0.01)


def scores_of_two_kinds(labelled: LabelledSet) -> tuple[Float32, Float32]:
    """Scores (N, K) with a valley between pairs of one identity and of two, and scores without one."""
    rng = np.random.default_rng(0)
    same = labelled.same(np.arange(ROWS))
    apart = np.where(same, rng.beta(9, 2, same.shape), rng.beta(1, 20, same.shape)).astype(np.float32)
    alike = (0.19 * rng.beta(1, 5, same.shape)).astype(np.float32)  # below the lowest valley
    apart[:, 0] = alike[:, 0] = np.nan
    return apart, alike


@pytest.mark.parametrize(
    ("valley", "rule", "engine", "num_sets"),
    [(True, "score", "infomap", 1), (False, "score", "infomap", 2), (True, "density-peaks", "components", 2)],
)
def test_a_limit_is_read_from_the_sets_that_show_none_of_their_own(
    labelled: LabelledSet, monkeypatch: pytest.MonkeyPatch, valley: bool, rule: str, engine: str, num_sets: int
) -> None:
    floor = mock.Mock(return_value=0.99)
    monkeypatch.setattr(limits, "similarity_floor", floor)
    keys: dict[str, Any] = {
        "knn": {"k": K}, "edges": {"valley": valley, "rule": rule}, "communities": {"engine": engine, "fragments": False},
    }  # fmt: skip
    sets, scores = [labelled, dataclasses.replace(labelled)], scores_of_two_kinds(labelled)
    config = load_config("auto", keys, "test")
    limit, curve, quality = limits.score_limit(sets, scores, config, None, LINES.append)
    name = "closeness" if rule == "density-peaks" else "eta"
    assert quality["sets"] == num_sets
    assert limit == {name: calibration.best(curve)["threshold"]}
    assert len(floor.call_args_list) == (1 if valley and rule == "score" else 0)
    if num_sets == 1:
        # only edges of nearly equal rows pass the floor of similarity
        close = labelled.similarity >= np.float32(0.99)
        assert curve[0]["edges"] <= np.count_nonzero(close & labelled.others(np.arange(ROWS)))


def test_the_filters_confidence_is_its_error_on_held_out_rows(labelled: LabelledSet) -> None:
    rows = labelled.anchors(held_out=True)
    true = limits.true_topk(labelled, rows, 0.5)
    topk = np.full(ROWS, K, np.int64)
    topk[rows] = np.clip(true + 2, 1, K)
    with_topk = dataclasses.replace(labelled, topk=topk)
    table, quality = limits.filter_confidence([with_topk, with_topk], 0.5)
    assert quality["rows"] == sum(line["count"] for line in table) == 2 * len(rows)
    assert quality["error"] == pytest.approx(np.abs(topk[rows] - true).mean())
    assert quality["error_of_median"] == pytest.approx(np.abs(np.median(true) - true).mean())


def test_a_filter_that_is_worse_than_a_constant_is_a_warning() -> None:
    good = limits.filter_line({"error": 2.0, "error_of_median": 3.5})
    assert good == "Top-K is off by 2.00 neighbors on average, and by 3.50 with the best constant"
    poor = limits.filter_line({"error": 9.3, "error_of_median": 3.5})
    assert poor.startswith("warning: the filter is worse than a constant: its Top-K is off by 9.30 neighbors")
    assert "training.filter.fit.steps" in poor
