import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.neighborhoods.pair_sums import FEWEST, UNIT, Limits, PairSums, best_others


def counted(start, cluster, neighbor, value):
    """The same in plain Python."""
    best = []
    for local, (ids, values) in enumerate(zip(neighbor, value, strict=True)):
        others = {}
        for j, x in list(zip(ids, values, strict=True))[1:]:
            if j >= 0 and cluster[j] != cluster[start + local] and x > 0:
                others.setdefault(cluster[j], []).append(float(x))
        best.append(max((sum(xs) / max(len(xs), FEWEST) for xs in others.values()), default=0.0))
    return best


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 20), st.integers(2, 9))
def test_the_best_other_cluster_is_that_of_plain_python_whatever_the_shards(seed, rows, k):
    random = np.random.default_rng(seed)
    cluster = random.integers(0, 4, rows).astype(np.int32)
    neighbor = random.integers(-1, rows, (rows, k)).astype(np.int32)
    value = random.uniform(-1, 1, (rows, k)).astype(np.float32)
    value[random.random((rows, k)) < 0.2] = np.nan
    found = best_others(0, cluster, neighbor, value)
    assert found == pytest.approx(counted(0, cluster, neighbor, value))
    cut = rows // 2
    parts = [
        best_others(0, cluster, neighbor[:cut], value[:cut]),
        best_others(cut, cluster, neighbor[cut:], value[cut:]),
    ]
    np.testing.assert_array_equal(np.concatenate(parts), found)


def test_one_wrong_score_is_a_third_of_a_rival():
    cluster, neighbor = np.array([0, 0, 1], np.int32), np.array([[0, 1, 2]], np.int32)
    assert best_others(0, cluster, neighbor, np.array([[1, 0.9, 0.6]], np.float32)) == pytest.approx([0.2])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 20), st.integers(2, 9), st.booleans())
def test_sums_are_those_of_plain_python_whatever_the_shards(seed, rows, k, by_score):
    random = np.random.default_rng(seed)
    cluster = random.integers(0, 4, rows).astype(np.int32)
    neighbor = random.integers(-1, rows, (rows, k)).astype(np.int32)
    similarity, score = (random.random((rows, k)).astype(np.float32) for _ in range(2))
    score[random.random((rows, k)) < 0.2] = np.nan
    limits = Limits(0.4, 0.6)
    sums = PairSums.of(cluster, [(0, neighbor, similarity, score)], limits, by_score=by_score)
    value = score if by_score else similarity
    listed = [(i, rank) for i in range(rows) for rank in range(1, k) if neighbor[i, rank] >= 0]
    total, pairs, apart = np.zeros(rows, np.int64), np.zeros(rows, np.int64), 0
    for i, rank in listed:
        if np.isnan(value[i, rank]):
            continue
        j, steps = neighbor[i, rank], int(float(value[i, rank]) * UNIT + 0.5)
        if cluster[i] != cluster[j]:
            apart += steps
            continue
        for end in (i, j):
            total[end] += steps
            pairs[end] += 1
    np.testing.assert_array_equal(sums.total, total)
    np.testing.assert_array_equal(sums.pairs, pairs)
    assert (2 * sums.within, sums.beyond) == (total.sum(), apart)
    passes = [(score[at] >= np.float32(0.4), similarity[at] >= np.float32(0.6)) for at in listed]
    assert sums.conflicts == (sum(a != b for a, b in passes), sum(a or b for a, b in passes))
    own = np.where(pairs > 0, total / UNIT / np.maximum(pairs, 1), 1.0)
    np.testing.assert_allclose(sums.margins(0.3), own - np.maximum(counted(0, cluster, neighbor, value), 0.3))
    cut = rows // 2
    blocks = [(0, neighbor[:cut], similarity[:cut], score[:cut]), (cut, neighbor[cut:], similarity[cut:], score[cut:])]
    cut_up = PairSums.of(cluster, blocks, limits, by_score=by_score)
    for name in ("total", "pairs", "best", "within", "beyond", "conflicts"):
        np.testing.assert_array_equal(getattr(cut_up, name), getattr(sums, name))
