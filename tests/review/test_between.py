"""What lists hold between groups, against a loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.review.between import BEST, Between
from raycluster.review.pairs import Pairs


def random_pairs(seed, rows=14, count=60):
    random = np.random.default_rng(seed)
    one, other = np.triu_indices(rows, 1)
    chosen = np.sort(random.choice(len(one), count, replace=False))
    value = random.random(count).astype(np.float32)
    return Pairs(one[chosen].astype(np.int32), other[chosen].astype(np.int32), value, random.random(count) < 0.5)


@given(st.integers(0, 2**32 - 1))
def test_best_counts_and_bridge_are_those_of_a_loop(seed):
    pairs = random_pairs(seed)
    group = np.random.default_rng(seed).integers(-1, 5, 14)
    size = np.bincount(group[group >= 0], minlength=5)
    found = Between.of(pairs, group, size)
    expected = {}
    for a, b, v, m in zip(
        pairs.one.tolist(), pairs.other.tolist(), pairs.value.tolist(), pairs.is_mutual.tolist(), strict=True
    ):
        if group[a] != group[b] and min(group[a], group[b]) >= 0:
            x, y = (a, b) if group[a] < group[b] else (b, a)
            expected.setdefault((group[x], group[y]), []).append((-v, x, y, m))
    assert list(zip(found.one.tolist(), found.other.tolist(), strict=True)) == sorted(expected)
    for at, key in enumerate(sorted(expected)):
        listed = sorted(expected[key])
        most = min(size[key[0]] * size[key[1]], BEST)
        assert found.best[at] == pytest.approx(-sum(one[0] for one in listed[:BEST]) / most)
        assert (found.num_pairs[at], found.num_mutual[at]) == (len(listed), sum(one[3] for one in listed))
        assert (found.row_one[at], found.row_other[at]) == listed[0][1:3]
        assert found.best_of(np.array([key[1]]), np.array([key[0]]))[0] == found.best[at]


def test_groups_without_pairs_have_nothing_between_them():
    none = Pairs(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, bool))
    found = Between.of(none, np.array([0, 1]), np.array([1, 1]))
    assert len(found.one) == 0
    assert found.best_of(np.array([0]), np.array([1])).tolist() == [0]
