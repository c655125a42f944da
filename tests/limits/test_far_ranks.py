"""The label-free threshold lands near the best one, from all singletons to 500 rows an identity, and does not wobble."""

import functools
from typing import Any

import numpy as np
import pytest

from raycluster.arrays import Float32, Int32
from raycluster.errors import ConfigError
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.limits.cohesion import Lists
from raycluster.limits.far_ranks import CROWDED, FAR_RANKS, pick_threshold
from raycluster.limits.random_pairs import RandomPairs, sample_pairs
from raycluster.synthetic.generator import SyntheticConfig, generate
from support.partitions import bcubed_f

ROWS, K = 6000, 80
ALIKE = Lists(np.zeros((1, 3), np.int32), np.ones((1, 1), np.float32))
"""Lists whose neighbors are as alike as can be: no singletons."""
SIZES: dict[str, dict[str, Any]] = {
    "singletons": {"mean_size": 1.0, "max_size": 1},
    "long tail": {"mean_size": 2.25, "tail_exponent": 2.4},
    "about 17": {"mean_size": 17.0, "min_size": 8, "max_size": 34},
    "about 68": {"mean_size": 68.0, "min_size": 34, "max_size": 136},
    "500 each": {"mean_size": 500.0, "min_size": 500},
}


@functools.cache
def _set(name: str) -> tuple[Float32, Any, Int32, Float32]:
    blocks = list(generate(SyntheticConfig(rows=ROWS, width=128, seed=11, **SIZES[name])))
    vectors, truth = np.concatenate([block[1] for block in blocks]), np.concatenate([block[2] for block in blocks])
    neighbor, similarity = exact_top_k(vectors, np.arange(ROWS, dtype=np.int32), vectors, K, 2)
    return vectors, truth, neighbor, similarity


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SIZES))
def test_the_picked_threshold_loses_at_most_five_points_to_the_best_of_a_sweep(name: str) -> None:
    vectors, truth, neighbor, similarity = _set(name)
    threshold, facts = pick_threshold(similarity, sample_pairs(vectors), Lists(neighbor, vectors))
    best = max(bcubed_f(truth, neighbor, similarity, at) for at in np.arange(0.2, 0.96, 0.05))
    assert best - bcubed_f(truth, neighbor, similarity, threshold) <= 0.05, facts


def test_the_order_of_rows_does_not_matter() -> None:
    vectors, _, neighbor, similarity = _set("long tail")
    pairs = sample_pairs(vectors)
    order = np.random.default_rng(0).permutation(ROWS)
    as_it_is = pick_threshold(similarity, pairs, Lists(neighbor, vectors))
    assert as_it_is == pick_threshold(similarity[order], pairs, Lists(neighbor[order], vectors))


def test_full_lists_are_of_one_identity_only_where_their_last_is_about_as_near_as_their_first() -> None:
    rng = np.random.default_rng(0)
    reach = rng.uniform(0.1, 0.65, (2000, 1))
    near = np.sort(0.3 + reach * rng.beta(16, 2, (2000, 79)), axis=1)[:, ::-1]
    similarity = np.hstack([np.ones((2000, 1)), near]).astype(np.float32)  # falls by about 0.12 along a list
    uneven, facts = pick_threshold(similarity, RandomPairs(0.0, 0.045), ALIKE)
    assert facts["basis"] == FAR_RANKS
    assert facts["risk"] > 0.9
    assert uneven > 0.3
    even, facts = pick_threshold(similarity, RandomPairs(0.0, 0.07), ALIKE)
    assert facts["basis"] == "random pairs: identities fill the lists"
    assert even < 0.3


def test_where_random_pairs_come_as_near_as_neighbors_only_the_nearest_third_counts() -> None:
    rng = np.random.default_rng(0)
    near = np.sort(0.6 + rng.uniform(0.1, 0.39, (3000, 1)) * rng.beta(16, 2, (3000, 79)), axis=1)[:, ::-1]
    similarity = np.hstack([np.ones((3000, 1)), near]).astype(np.float32)
    threshold, facts = pick_threshold(similarity, RandomPairs(0.6, 0.25), ALIKE)
    assert facts["basis"] == CROWDED
    assert (similarity[:, 1:] >= threshold).mean() == pytest.approx(1 / 3, abs=0.01)
    assert pick_threshold(similarity, RandomPairs(0.6, 0.05), ALIKE)[1]["basis"] != CROWDED


def test_too_few_neighbors_to_tell_background_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"from 8 neighbors or more, and knn\.k is 5"):
        pick_threshold(np.ones((10, 5), np.float32), RandomPairs(0.0, 0.1), ALIKE)


@pytest.mark.slow
def test_planted_background_is_counted():
    """Rows of 3 true neighbors above 0.8 among strangers whose number within a distance d grows like d^8."""
    rng = np.random.default_rng(0)
    rows, strangers = 4000, 2000
    distance = 1.2 * rng.random((rows, strangers)) ** (1 / 8)
    near = np.sort(np.hstack([rng.uniform(0.8, 0.95, (rows, 3)), 1 - distance]), axis=1)[:, ::-1][:, :59]
    similarity = np.hstack([np.ones((rows, 1)), near]).astype(np.float32)
    threshold, facts = pick_threshold(similarity, RandomPairs(-0.1, 0.1), ALIKE)
    assert facts["basis"] == FAR_RANKS
    assert facts["risk"] < 0.1
    nearest_stranger = np.quantile(1 - distance.min(axis=1), 0.95)
    assert nearest_stranger - 0.05 < threshold < 0.82
