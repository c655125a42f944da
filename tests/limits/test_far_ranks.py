"""The label-free threshold lands near the best one, from all singletons to 500 rows an identity, and does not wobble."""

from typing import Any

import numpy as np
import pytest

from raycluster.arrays import Float32, Int32
from raycluster.errors import ConfigError
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.limits.far_ranks import FAR_RANKS, RandomPairs, pick_threshold, sample_pairs
from raycluster.synthetic.generator import SyntheticConfig, generate
from support.partitions import bcubed_f

ROWS, K = 6000, 80
SIZES: dict[str, dict[str, Any]] = {
    "singletons": {"mean_size": 1.0, "max_size": 1},
    "long tail": {"mean_size": 2.25, "tail_exponent": 2.4},
    "about 17": {"mean_size": 17.0, "min_size": 8, "max_size": 34},
    "about 68": {"mean_size": 68.0, "min_size": 34, "max_size": 136},
    "500 each": {"mean_size": 500.0, "min_size": 500},
}


def _set(name: str) -> tuple[Float32, Any, Int32, Float32]:
    blocks = list(generate(SyntheticConfig(rows=ROWS, width=128, seed=11, **SIZES[name])))
    vectors, truth = np.concatenate([block[1] for block in blocks]), np.concatenate([block[2] for block in blocks])
    neighbor, similarity = exact_top_k(vectors, np.arange(ROWS, dtype=np.int32), vectors, K, 2)
    return vectors, truth, neighbor, similarity


@pytest.mark.parametrize("name", list(SIZES))
def test_the_picked_threshold_loses_at_most_five_points_to_the_best_of_a_sweep(name: str) -> None:
    vectors, truth, neighbor, similarity = _set(name)
    threshold, facts = pick_threshold(similarity, sample_pairs(vectors))
    best = max(bcubed_f(truth, neighbor, similarity, at) for at in np.arange(0.2, 0.96, 0.05))
    assert best - bcubed_f(truth, neighbor, similarity, threshold) <= 0.05, facts


def test_the_order_of_rows_does_not_matter() -> None:
    vectors, _, _, similarity = _set("long tail")
    pairs = sample_pairs(vectors)
    order = np.random.default_rng(0).permutation(ROWS)
    assert pick_threshold(similarity, pairs)[0] == pick_threshold(similarity[order], pairs)[0]


def test_full_lists_are_of_one_identity_only_where_their_last_is_about_as_near_as_their_first() -> None:
    rng = np.random.default_rng(0)
    reach = rng.uniform(0.1, 0.65, (2000, 1))
    near = np.sort(0.3 + reach * rng.beta(16, 2, (2000, 79)), axis=1)[:, ::-1]
    similarity = np.hstack([np.ones((2000, 1)), near]).astype(np.float32)  # falls by about 0.12 along a list
    uneven, facts = pick_threshold(similarity, RandomPairs(0.0, 0.045))
    assert facts["basis"] == FAR_RANKS
    assert facts["risk"] > 0.9
    assert uneven > 0.3
    even, facts = pick_threshold(similarity, RandomPairs(0.0, 0.07))
    assert facts["basis"] == "random pairs: identities fill the lists"
    assert even < 0.3


def test_the_spread_of_random_pairs_ignores_same_identity_pairs() -> None:
    rng = np.random.default_rng(0)
    strangers = rng.normal(0.1, 0.05, 90_000)
    mixed = np.concatenate([strangers, rng.normal(0.7, 0.05, 10_000)])
    assert RandomPairs.of(mixed).median == pytest.approx(0.1, abs=0.01)
    assert RandomPairs.of(mixed).spread == pytest.approx(0.05, abs=0.01)


def test_too_few_neighbors_to_tell_background_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"from 8 neighbors or more, and knn\.k is 5"):
        pick_threshold(np.ones((10, 5), np.float32), RandomPairs(0.0, 0.1))
