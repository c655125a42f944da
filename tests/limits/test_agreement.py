"""Scores that contradict a clear threshold, and sets of bursts and of sparse vectors where they do."""

from typing import Any

import numpy as np
import pytest

from raycluster import Clusterer
from raycluster.limits.agreement import CLEAR_RISK, contradiction, disagreement, is_contradicted, parts_most
from raycluster.limits.far_ranks import FAR_RANKS, SINGLETONS, UNRESOLVED_RISK
from support.partitions import same_partition

LISTS = np.array([[1, 0.9, 0.8, 0.1], [1, 0.9, 0.2, 0.1]], np.float32)


def test_equal_neighbors_do_not_disagree() -> None:
    assert disagreement(LISTS, LISTS, 0.5, 0.5) == 0
    assert disagreement(LISTS, np.full_like(LISTS, np.nan), 0.95, 0.5) == 0


def test_lost_and_added_neighbors_count_by_the_square_of_their_share() -> None:
    score = np.array([[np.nan, 0.9, 0.1, 0.1], [np.nan, 0.9, 0.9, 0.9]], np.float32)
    assert disagreement(LISTS, score, 0.5, 0.5) == pytest.approx(((1 / 2) ** 2 + (2 / 3) ** 2) / 2)
    assert disagreement(LISTS, np.full_like(LISTS, np.nan), 0.5, 0.5) == 1


@pytest.mark.parametrize(
    ("share", "risk", "expected"),
    [(0.6, 0.0, True), (0.02, 0.0, False), (0.15, 0.06, True), (0.11, 0.06, False), (0.9, CLEAR_RISK + 0.01, False)],
)
def test_a_clear_threshold_overrules_what_is_wrong_on_more_rows(share: float, risk: float, expected: bool) -> None:
    assert is_contradicted(share, risk) is expected


def tags(groups: int, rows: int, own: int, worn: int) -> tuple[Any, Any]:
    """Rows that wear some tags of their group's own; groups share none."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(groups), rows)
    vectors = np.zeros((len(truth), own * groups), np.float32)
    for row, group in enumerate(truth):
        vectors[row, own * group + rng.choice(own, worn, replace=False)] = 1
    return vectors, truth


def bursts(identities: int, moments: int, shots: int, width: int) -> tuple[Any, Any]:
    """Near copies at cosine 0.97 of moments of identities, which lie at cosine 0.8 of each other."""
    rng = np.random.default_rng(4)
    truth = np.repeat(np.arange(identities), moments * shots)
    centers = rng.normal(size=(identities, width))
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    places = np.repeat(centers, moments, axis=0) + 0.5 * rng.normal(size=(identities * moments, width)) / np.sqrt(width)
    places = np.repeat(places / np.linalg.norm(places, axis=1, keepdims=True), shots, axis=0)
    return (places + 0.17 * rng.normal(size=places.shape) / np.sqrt(width)).astype(np.float32), truth


@pytest.mark.parametrize(
    "made",
    [tags(60, 5, 20, 15), tags(80, 5, 6, 4), bursts(40, 8, 3, 64), bursts(40, 8, 2, 64), bursts(40, 6, 4, 256)],
    ids=["tags", "few tags", "bursts of three", "bursts of two", "bursts of four, wide"],
)
def test_auto_finds_the_identities_of_bursts_and_of_sparse_vectors(made: tuple[Any, Any]) -> None:
    vectors, truth = made
    assert same_partition(Clusterer("auto").fit(vectors).labels_, truth)


@pytest.mark.parametrize("copies", [2, 3])
def test_auto_finds_the_identities_of_rows_that_are_there_several_times(copies: int) -> None:
    vectors, truth = bursts(50, 8, 1, 64)
    fitted = Clusterer("auto").fit(np.concatenate([vectors] * copies))
    assert same_partition(fitted.labels_, np.concatenate([truth] * copies))


@pytest.mark.parametrize(
    ("near", "alike", "has_valley", "expected"),
    [
        (6, 2, True, True),
        (6, 3, True, False),
        (6, 2, False, False),
        (6, 0, False, True),
        (1, 0, True, False),
    ],
)
def test_a_limit_that_parts_the_pairs_of_full_lists_is_wrong(
    near: int, alike: int, has_valley: bool, expected: bool
) -> None:
    similarity = np.full((1, 10), 0.1, np.float32)
    similarity[0, : near + 1] = 0.9
    score = np.where(np.arange(10) <= alike, 0.9, 0.1).astype(np.float32)[None]
    assert parts_most(similarity, score, 0.5, 0.5, has_valley) is expected


def with_one_large(rows: int, others: int) -> tuple[Any, Any]:
    """One identity of many rows among identities of five."""
    rng = np.random.default_rng(7)
    truth = np.concatenate([np.zeros(rows, int), np.repeat(np.arange(1, others + 1), 5)])
    centers = rng.standard_normal((others + 1, 64))
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    return centers[truth] + 0.5 / 8 * rng.standard_normal((len(truth), 64)), truth


@pytest.mark.parametrize(("rows", "others"), [(600, 60), (700, 40)])
def test_one_identity_of_most_rows_stays_whole(rows: int, others: int) -> None:
    vectors, truth = with_one_large(rows, others)
    assert same_partition(Clusterer().fit(vectors).labels_, truth)


@pytest.mark.parametrize("recipe", ["auto", "cosine"])
@pytest.mark.parametrize(
    ("rows", "copies"),
    [
        (np.eye(100), 6),
        (np.eye(300), 1),
        (np.random.default_rng(0).standard_normal((150, 64)), 5),
        (np.eye(200)[::2] + np.eye(200)[1::2], 6),
    ],
    ids=["one-hot, 6 copies", "one-hot", "strangers, 5 copies", "two-hot, 6 copies"],
)
def test_rows_with_nothing_in_common_are_joined_with_their_copies_alone(recipe: str, rows: Any, copies: int) -> None:
    labels = Clusterer(recipe).fit(np.repeat(rows, copies, axis=0)).labels_.reshape(len(rows), copies)
    assert (labels == labels[:, :1]).all()
    assert len(set(labels[:, 0])) >= 0.97 * len(rows)


@pytest.mark.parametrize(
    ("basis", "risk", "expected"),
    [
        (FAR_RANKS, 0.0, 1.0),
        (FAR_RANKS, 0.7, 1.0),
        (FAR_RANKS, UNRESOLVED_RISK, None),
        (SINGLETONS, 0.0, None),
    ],
)
def test_a_threshold_without_a_background_overrules_nothing(basis: str, risk: float, expected: float | None) -> None:
    similarity = np.full((4, 10), 0.9, np.float32)
    score = np.full((4, 10), 0.1, np.float32)
    assert contradiction(similarity, score, (0.5, {"basis": basis, "risk": risk}), 0.6, True) == expected
