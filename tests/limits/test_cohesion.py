"""Partial cosines of neighbors: 0 among strangers in any number of dimensions, r / (1 + r) in identities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.arrays import Float32
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.limits.cohesion import Lists
from raycluster.limits.far_ranks import LEAST_COHESION


def unit(rows: np.typing.NDArray[np.float64]) -> Float32:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def lists(vectors: Float32, k: int = 20) -> Lists:
    return Lists(exact_top_k(vectors, np.arange(len(vectors), dtype=np.int32), vectors, k)[0], vectors)


@pytest.mark.parametrize("width", [4, 16, 128])
def test_strangers_have_none_in_any_number_of_dimensions(width: int) -> None:
    strangers = unit(np.random.default_rng(width).standard_normal((2000, width)))
    assert abs(lists(strangers).cohesion(0.0, 0.0)) < 0.03


@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_identities_have_that_of_their_cosine_whatever_all_rows_share(shift: float) -> None:
    rng = np.random.default_rng(0)
    rows = np.repeat(unit(rng.standard_normal((50, 256))), 30, axis=0) + unit(rng.standard_normal((1500, 256)))
    rows = np.column_stack([unit(rows), np.full(1500, shift)])  # cosines of one identity are 0.5 before the shift
    common = shift**2 / (1 + shift**2)
    cohesion = lists(unit(rows)).cohesion(0.4 * (1 - common) + common, common)
    assert cohesion == pytest.approx(0.5 / 1.5, abs=0.03)
    assert cohesion > LEAST_COHESION


@given(seed=st.integers(0, 2**16))
def test_it_is_the_formula_pair_by_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = unit(rng.standard_normal((6, 3)))
    neighbor = np.array([[0, 1, 2, 3, 4, -1]], np.int32)
    own, near = vectors[0].astype(float), vectors[[1, 2, 3, 4]].astype(float)
    near = near[near @ own >= 0.1]
    partial = [
        (a @ b - (a @ own) * (b @ own)) / np.sqrt((1 - (a @ own) ** 2) * (1 - (b @ own) ** 2))
        for i, a in enumerate(near)
        for b in near[:i]
    ]
    expected = np.mean(partial) if partial else 0.0
    assert Lists(neighbor, vectors).cohesion(0.1, -0.2) == pytest.approx(expected, abs=1e-4)


def test_rows_without_two_near_neighbors_do_not_count() -> None:
    vectors = np.eye(5, dtype=np.float32)
    assert lists(vectors, 4).cohesion(0.5, 0.0) == 0.0
