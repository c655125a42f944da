"""The layout: rows that pull each other end together, and equal input gives equal positions."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.layout import layout


def groups(count: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of groups in random order, and five neighbors of each within its group."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(np.arange(count), size))
    neighbor = np.stack([rng.choice(np.flatnonzero(group == own), 5) for own in group]).astype(np.int32)
    return group, neighbor


def test_groups_end_apart() -> None:
    group, neighbor = groups(6, 30, 0)
    start = np.random.default_rng(1).normal(0, 3, (180, 2))
    place = layout(start, neighbor, np.ones(neighbor.shape, np.float32), 200)
    center = np.stack([place[group == own].mean(axis=0) for own in range(6)])
    nearest = np.linalg.norm(place[:, None] - center[None], axis=2).argmin(axis=1)
    assert (nearest == group).mean() > 0.97
    before = np.linalg.norm(start[:, None] - center[None], axis=2).argmin(axis=1)
    assert (before == group).mean() < 0.6


@settings(max_examples=20)
@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 99))
def test_positions_are_finite_and_the_same_every_time(rows: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    neighbor = rng.integers(-1, rows, (rows, k)).astype(np.int32)
    pull = rng.random((rows, k)).astype(np.float32)
    start = rng.normal(size=(rows, 2)) if seed % 2 else np.zeros((rows, 2))  # all rows at one place as well
    place = layout(start, neighbor, pull, 20)
    assert np.isfinite(place).all()
    assert np.array_equal(place, layout(start, neighbor, pull, 20))


def test_a_missing_neighbor_pulls_nothing() -> None:
    start = np.array([[0.0, 0.0], [1.0, 1.0]])
    assert np.array_equal(layout(start, np.full((2, 3), -1, np.int32), np.ones((2, 3), np.float32), 50), start)
