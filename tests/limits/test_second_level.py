"""Near copies of nearly every row, and the identities below them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster import Clusterer
from raycluster.arrays import Float32
from raycluster.evaluation.metrics import Contingency, bcubed
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.limits.cohesion import Lists
from raycluster.limits.far_ranks import FAR_RANKS, SECOND_LEVEL, pick_threshold
from raycluster.limits.random_pairs import sample_pairs
from raycluster.limits.second_level import are_apart, lists_below, second_level

K = 80


def unit(rows: Float32) -> Float32:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def leveled(identities: int, moments: int, shots: int, noise: float = 0.6, width: int = 64) -> tuple[Float32, Float32]:
    """Vectors and identities: shots at cosine 0.97 of moments, which lie at cosine 1 / (1 + noise^2) of each other."""
    rng = np.random.default_rng(3)
    centers = unit(rng.standard_normal((identities, width)))
    places = unit(
        np.repeat(centers, moments, axis=0) + noise * rng.standard_normal((identities * moments, width)) / width**0.5
    )
    rows = np.repeat(places, shots, axis=0)
    return unit(rows + 0.18 * rng.standard_normal(rows.shape) / width**0.5), np.repeat(
        np.arange(identities), moments * shots
    )


def lists_of(vectors: Float32, k: int = K) -> tuple[Lists, Float32]:
    neighbor, similarity = exact_top_k(vectors, np.arange(len(vectors), dtype=np.int32), vectors, k, 1)
    return Lists(neighbor, vectors), similarity


@pytest.mark.slow
@pytest.mark.parametrize(("identities", "moments", "shots"), [(60, 6, 4), (60, 6, 2), (40, 12, 4), (20, 25, 4)])
@pytest.mark.parametrize("recipe", ["cosine", "auto"])
def test_identities_in_bursts_are_whole(identities: int, moments: int, shots: int, recipe: str) -> None:
    vectors, truth = leveled(identities, moments, shots)
    labels = Clusterer(recipe, threads=2).fit(vectors).labels_
    assert bcubed(Contingency.of(truth, labels)).f > 0.97


def test_the_threshold_below_near_copies_has_a_basis_of_its_own() -> None:
    vectors, _ = leveled(60, 6, 4)
    lists, similarity = lists_of(vectors)
    threshold, facts = pick_threshold(similarity, sample_pairs(vectors), lists)
    assert facts["basis"] == SECOND_LEVEL
    assert 0.4 < threshold < 0.72
    assert facts["risk"] < 0.1


def test_identities_that_fill_the_lists_below_the_copies_are_a_level() -> None:
    vectors, _ = leveled(15, 25, 8, noise=0.9)
    _, similarity = lists_of(vectors)
    pairs = sample_pairs(vectors)
    level = second_level(similarity, 0.9, pairs, len(vectors))
    assert level is not None
    assert pairs.median < level.threshold < 0.55


@pytest.mark.parametrize("moments", [1, 6, 20])
def test_a_set_of_one_level_has_no_second(moments: int) -> None:
    vectors, _ = leveled(1200 // moments, moments, 1)
    lists, similarity = lists_of(vectors)
    pairs = sample_pairs(vectors)
    threshold, facts = pick_threshold(similarity, pairs, lists)
    assert facts["basis"] != SECOND_LEVEL
    assert second_level(similarity, threshold, pairs, len(vectors)) is None


def test_copies_without_anything_below_have_no_second_level() -> None:
    vectors, _ = leveled(400, 1, 4)
    lists, similarity = lists_of(vectors)
    _, facts = pick_threshold(similarity, sample_pairs(vectors), lists)
    assert facts["basis"] == FAR_RANKS


def test_words_that_sparse_rows_share_are_no_level() -> None:
    rng = np.random.default_rng(0)
    vectors = np.zeros((360, 60 * 40 + 200), np.float32)
    for row in range(360):
        vectors[row, 40 * (row // 6) + rng.choice(40, 20, replace=False)] = 1
        vectors[row, 2400 + rng.choice(200, 2, replace=False)] = 1
    lists, similarity = lists_of(unit(vectors))
    assert pick_threshold(similarity, sample_pairs(unit(vectors)), lists)[1]["basis"] == FAR_RANKS


@pytest.mark.parametrize(("groups", "k"), [(30, 20), (30, 80), (10, 9)])
def test_strangers_of_tight_identities_are_no_level(groups: int, k: int) -> None:
    rows = np.repeat(np.eye(groups), 5, axis=0) + 0.01 * np.random.default_rng(0).normal(size=(5 * groups, groups))
    lists, similarity = lists_of(unit(rows), k)
    assert pick_threshold(similarity, sample_pairs(unit(rows)), lists)[1]["basis"] != SECOND_LEVEL


def test_relatives_of_every_degree_are_no_level() -> None:
    rng = np.random.default_rng(0)
    falling = np.sort(0.2 + 0.75 * rng.random((2000, K - 1)) ** 3, axis=1)[:, ::-1]
    similarity = np.hstack([np.ones((2000, 1)), falling]).astype(np.float32)
    assert not are_apart(similarity, 0.8)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
def test_lists_below_a_threshold_hold_the_nearest_neighbors_below_it(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    near = np.sort(rng.random((30, 12)), axis=1)[:, ::-1]
    similarity = np.hstack([np.ones((30, 1)), near]).astype(np.float32)
    below = lists_below(similarity, threshold)
    rows = [row[1:][row[1:] < threshold] for row in similarity]
    long_enough = [row[: below.shape[1] - 1] for row in rows if len(row) >= below.shape[1] - 1]
    assert len(below) == len(long_enough) >= 27
    assert np.array_equal(below[:, 1:], np.array(long_enough).reshape(len(below), -1))
