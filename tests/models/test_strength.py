"""Strength from scores: the evidence against plain loops over exact fractions, and what must change nothing."""

from fractions import Fraction
from math import exp, log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.neighborhoods.pair_sums import Limits, PairSums
from raycluster.models.strength import (
    EARLIER_WEIGHTS,
    FEATURES,
    FEW_CONFLICTS,
    MOST,
    NEAREST,
    Evidence,
)
from raycluster.stages.engines import numbered_by_first_row

WEIGHTS = {
    "intercept": 0.5, "row": 1.25, "pairs": -1.0, "inside": 0.75, "alone": 3.0, "conflicts": -0.25,
}  # fmt: skip
LIMITS = Limits(0.4, 0.6)


def evidence_of(cluster: Any, blocks: list[Any], limits: Limits | None = None) -> Evidence:
    """Evidence from blocks of first row, neighbors, scores and similarities."""
    turned = [(start, neighbor, similarity, score) for start, neighbor, score, similarity in blocks]
    return Evidence.of(cluster, PairSums.of(cluster, turned, limits))


@st.composite
def scored(draw: st.DrawFn) -> tuple[Any, Any, Any, Any]:
    """Clusters (N,), and neighbors, scores and similarities (N, K) with absent ranks and pairs that were not scored."""
    rows, k = draw(st.integers(2, 14)), draw(st.integers(2, 7))
    cluster = numbered_by_first_row(np.array(draw(st.lists(st.integers(0, 4), min_size=rows, max_size=rows))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    neighbor = np.full((rows, k), -1, np.int32)
    score = rng.random((rows, k)).astype(np.float32)
    for row in range(rows):
        others = rng.permutation(np.delete(np.arange(rows), row))[: rng.integers(0, k)]
        neighbor[row, : 1 + len(others)] = [row, *others]
    score[rng.random((rows, k)) < 0.1] = np.nan
    score[:, 0] = np.nan
    return cluster, neighbor, score, rng.random((rows, k)).astype(np.float32)


def brute_force(cluster: Any, neighbor: Any, score: Any, similarity: Any) -> list[list[float]]:
    """Features of every row from the listed pairs, one by one."""
    rows = len(cluster)
    pairs = [
        (i, int(j), Fraction(float(s)))
        for i in range(rows)
        for j, s in zip(neighbor[i, 1:], score[i, 1:], strict=True)
        if j >= 0 and not np.isnan(s)
    ]
    within = [pair for pair in pairs if cluster[pair[0]] == cluster[pair[1]]]
    sizes = np.bincount(cluster)

    def odds(values: list[Fraction], count: Any) -> float:
        mean = float(sum(values) / count) if count else 0.5
        mean = min(max(mean, NEAREST), 1 - NEAREST)
        return log(mean / (1 - mean))

    listed = [(i, r) for i in range(rows) for r in range(1, neighbor.shape[1]) if neighbor[i, r] >= 0]
    passes = [(similarity[at] >= np.float32(LIMITS.similarity), score[at] >= np.float32(LIMITS.score)) for at in listed]
    either = [near != alike for near, alike in passes if near or alike]
    conflicts = min(max(float(np.mean(either)) if either else 0.0, FEW_CONFLICTS), MOST)
    everywhere = [s for *_, s in within]
    of_set = [
        odds(everywhere, len(within)),
        odds(everywhere, sum(s for *_, s in pairs)),
        sum(sizes[c] == 1 for c in cluster) / rows,
        log(conflicts / (1 - conflicts)),
    ]
    mine = [[s for i, j, s in within if row in (i, j)] for row in range(rows)]
    return [[odds(values, len(values)), *of_set] for values in mine]


@settings(max_examples=100, deadline=None)
@given(scored())
def test_features_are_means_and_shares_over_listed_pairs(example: tuple[Any, Any, Any, Any]) -> None:
    cluster, *lists = example
    found = evidence_of(cluster, [(0, *lists)], LIMITS)
    expected = np.array(brute_force(*example))
    assert found.features.dtype == np.float64
    np.testing.assert_allclose(found.features, expected, atol=2e-4)
    strength = found.strength(WEIGHTS)
    assert ((strength >= 0) & (strength <= 1)).all()
    for row, features in enumerate(found.features):
        z = WEIGHTS["intercept"] + sum(WEIGHTS[name] * x for name, x in zip(FEATURES, features, strict=True))
        alone = (cluster == cluster[row]).sum() == 1
        assert strength[row] == pytest.approx(1.0 if alone else 1 / (1 + exp(-z)))


@settings(max_examples=60, deadline=None)
@given(scored(), st.integers(0, 2**32 - 1))
def test_neither_shards_nor_the_order_of_rows_change_a_bit(example: tuple[Any, Any, Any, Any], seed: int) -> None:
    cluster, neighbor, score, similarity = example
    expected = evidence_of(cluster, [(0, neighbor, score, similarity)], LIMITS).strength(WEIGHTS)
    cut = 1 + seed % (len(cluster) - 1)
    blocks = [
        (0, neighbor[:cut], score[:cut], similarity[:cut]), (cut, neighbor[cut:], score[cut:], similarity[cut:]),
    ]  # fmt: skip
    np.testing.assert_array_equal(evidence_of(cluster, blocks, LIMITS).strength(WEIGHTS), expected)
    order = np.random.default_rng(seed).permutation(len(cluster))
    number = np.append(np.argsort(order), -1).astype(np.int32)  # -1 stays
    block = (0, number[neighbor[order]], score[order], similarity[order])
    moved = evidence_of(cluster[order], [block], LIMITS).strength(WEIGHTS)
    np.testing.assert_array_equal(moved, expected[order])


def test_a_row_is_surer_the_higher_its_pairs_score_and_one_alone_is_sure() -> None:
    cluster = np.array([0, 0, 0, 1, 1, 1, 2], np.int32)
    neighbor = np.array([[0, 1, 2], [1, 0, 2], [2, 0, 1], [3, 4, 5], [4, 3, 5], [5, 3, 4], [6, 0, 1]], np.int32)
    score = np.array([[np.nan, a, b] for a, b in [(0.9, 0.4), (0.9, 0.6), (0.4, 0.6), *[(0.7, 0.7)] * 3, (0.1, 0.1)]])
    block = (0, neighbor, score.astype(np.float32), score.astype(np.float32))
    strength = evidence_of(cluster, [block]).strength(WEIGHTS)
    assert strength[1] > strength[0] > strength[2]
    assert strength[3] == strength[4] == strength[5]
    assert strength[6] == 1.0


@settings(max_examples=30, deadline=None)
@given(scored())
def test_a_model_from_before_ignores_conflicts(example: tuple[Any, Any, Any, Any]) -> None:
    cluster, *lists = example
    earlier = {name: WEIGHTS[name] for name in EARLIER_WEIGHTS}
    with_limits = evidence_of(cluster, [(0, *lists)], LIMITS).strength(earlier)
    np.testing.assert_array_equal(with_limits, evidence_of(cluster, [(0, *lists)]).strength(earlier))


def test_a_set_whose_limits_disagree_promises_less() -> None:
    cluster = np.zeros(3, np.int32)
    neighbor = np.array([[0, 1, 2], [1, 0, 2], [2, 0, 1]], np.int32)
    score = np.full((3, 3), 0.9, np.float32)
    agreeing, disagreeing = score, np.full((3, 3), 0.1, np.float32)
    agreed, disagreed = (evidence_of(cluster, [(0, neighbor, score, s)], LIMITS) for s in (agreeing, disagreeing))
    assert (disagreed.strength(WEIGHTS) < agreed.strength(WEIGHTS)).all()
