"""TPDi against dictionaries, and the three properties and the remark that S2 gives."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from raycluster.kernels.neighborhoods.diffusion import transition
from raycluster.kernels.neighborhoods.tpdi import closeness
from raycluster.kernels.search.nearest import exact_top_k
from support.data import identities, neighbor_table
from support.edge_tables import TABLES, random_scores


def random_case(table, sigma=None):
    """Neighbor (N, K) and P (N, K) of random scores on a case of TABLES."""
    neighbor, _ = neighbor_table(*table)
    return neighbor, transition(random_scores(neighbor, table[2], 0.2), sigma)


def brute_force(neighbor, p):
    lists = [{int(h): float(q) for h, q in zip(*row, strict=True) if h >= 0} for row in zip(neighbor, p, strict=True)]
    found = np.zeros(neighbor.shape)
    for i, rank in zip(*np.nonzero(neighbor >= 0), strict=True):
        mine, other = lists[i], lists[neighbor[i, rank]]
        found[i, rank] = sum((mine[c] * other[c]) ** 0.5 for c in mine.keys() & other.keys())
    return found


@settings(max_examples=40, deadline=None)
@given(TABLES, st.sampled_from([None, 0.05]))
def test_closeness_is_one_less_the_formula(table, sigma):
    neighbor, p = random_case(table, sigma)
    found = closeness(neighbor, np.sqrt(p))
    assert (found.dtype, found.shape) == (np.float32, neighbor.shape)
    np.testing.assert_allclose(found, brute_force(neighbor, p), rtol=1e-5, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_property_1_distance_lies_in_0_to_1_and_is_the_same_from_both_ends(table):
    neighbor, p = random_case(table)
    found = closeness(neighbor, np.sqrt(p))
    assert ((found >= 0) & (found <= 1)).all()
    assert (found[neighbor < 0] == 0).all()
    assert found[:, 0] == pytest.approx(1, abs=1e-6)
    of_pair = {(i, int(j)): found[i, rank] for i, line in enumerate(neighbor) for rank, j in enumerate(line) if j >= 0}
    for (i, j), value in of_pair.items():
        assert of_pair.get((j, i), value) == pytest.approx(value, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(0, 10**6))
def test_property_2_distance_is_0_for_equal_probabilities_and_only_for_them(k, seed):
    rng = np.random.default_rng(seed)
    neighbor = np.stack([np.roll(np.arange(k), -i) for i in range(k)]).astype(np.int32)
    by_row = rng.random(k) + 0.1
    p = np.stack([np.roll(by_row, -i) for i in range(k)]) / by_row.sum()
    assert closeness(neighbor, np.sqrt(p).astype(np.float32)) == pytest.approx(1, abs=1e-6)
    p[0] = rng.permutation([0.9, *[0.1 / (k - 1)] * (k - 1)])
    apart = np.abs(np.roll(p[0], 0) - by_row / by_row.sum()).max()
    assume(apart > 0.01)
    found = closeness(neighbor, np.sqrt(p).astype(np.float32))[0, 1:]
    assert (found < 1 - apart**2 / 8 + 1e-6).all()  # Hellinger: 1 - sum >= (largest difference)^2 / 8


def test_property_3_it_parts_true_from_false_pairs_better_than_cosine_where_dense_and_sparse_identities_mix():
    dense, of_dense = identities(30, 12, width=64, spread=0.5, seed=0)
    sparse, of_sparse = identities(30, 12, width=64, spread=1.1, seed=1)
    vectors, labels = np.concatenate([dense, sparse]), np.concatenate([of_dense, of_sparse + 30])
    neighbor, similarity = exact_top_k(vectors, np.arange(720, dtype=np.int32), vectors, 20)
    found = closeness(neighbor, np.sqrt(transition(np.maximum(similarity, 0))))
    same = (labels[neighbor] == labels[:, None])[:, 1:].ravel()

    def error_at_the_best_limit(values):
        right_below = np.cumsum(np.where(same[np.argsort(values)], -1, 1), dtype=np.int64)
        return 1 - (same.sum() + right_below.max()) / len(same)

    tpdi, cosine = found[:, 1:].ravel(), similarity[:, 1:].ravel()
    assert error_at_the_best_limit(tpdi) < error_at_the_best_limit(cosine) / 2
    assert roc_auc_score(same, tpdi) > roc_auc_score(same, cosine)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(0, 10**6))
def test_remark_1_with_equal_probabilities_it_is_a_function_of_jaccard(rows, seed):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, rows + 1))
    neighbor = np.stack([[i, *rng.permutation(np.delete(np.arange(rows), i))[: k - 1]] for i in range(rows)]).astype(
        np.int32
    )
    found = closeness(neighbor, np.full(neighbor.shape, (1 / k) ** 0.5, np.float32))
    for i, line in enumerate(neighbor.tolist()):
        for rank, j in enumerate(line):
            both = len(set(line) & set(neighbor[j].tolist()))
            jaccard = both / (2 * k - both)
            assert found[i, rank] == pytest.approx(2 * jaccard / (1 + jaccard), abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(TABLES, st.integers(0, 60))
def test_row_shards_and_threads_change_nothing(table, cut):
    neighbor, p = random_case(table)
    root, cut = np.sqrt(p), min(cut, len(neighbor))
    parts = [closeness(neighbor, root, *part, threads=2) for part in ((0, cut), (cut, len(neighbor)))]
    whole = closeness(neighbor, root, threads=1)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    needed = np.random.default_rng(cut).random(neighbor.shape) < 0.5
    np.testing.assert_array_equal(closeness(neighbor, root, is_needed=needed), np.where(needed, whole, 0))


def test_rows_alone_share_nothing_with_others_and_all_with_themselves():
    neighbor = np.array([[0, -1, -1], [1, 2, -1], [2, 1, -1]], np.int32)
    p = transition(np.array([[1, np.nan, np.nan], [1, 0, np.nan], [1, 0, np.nan]], np.float32))
    assert closeness(neighbor, np.sqrt(p)).tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 0]]
